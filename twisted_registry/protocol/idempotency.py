"""
The entry of a creation's metadata that makes it idempotent.

A client that did not get the answer to a creation repeats it with the same key and the same version, and gets the
version that the first attempt made.  A server that does not know the entry ignores it.
"""

from collections.abc import Iterable

IDEMPOTENCY_KEY_ENTRY = "twisted-registry-idempotency-key"
"""The name of the entry; its value follows the rules of ``twisted_registry.domain.idempotency``."""

IDEMPOTENCY_STATUS = "idempotency_keys"
"""
The name of the server's status that lists for which versions it remembers keys, also across its restarts:
``transient``, ``archived``, or both with a comma in between.  Transient versions do not survive a restart, nor do their
keys.
"""


def idempotency_key_in(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """
    Return the key that a call's metadata holds; empty if there is none.
    """
    for name, value in metadata or ():
        if name == IDEMPOTENCY_KEY_ENTRY and isinstance(value, str):
            return value
    return ""
