"""
The rules for idempotency keys: which texts are allowed, and when two creations are the same.
"""

import hashlib
from functools import lru_cache

from twisted_registry.domain.errors import InvalidRequest, shown
from twisted_registry.domain.models import VersionHeader, VersionInfo

MAX_KEY_CHARACTERS = 128
KEY_SECONDS = 24 * 60 * 60
"""How long the registry remembers a key after the version was committed."""


def check_idempotency_key(key: str) -> str:
    """
    Return an idempotency key, if it is allowed: 1 to 128 printable ASCII characters without spaces at either end.

    Raises:
        InvalidRequest: the key is not allowed.
    """
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidRequest(
            f"an idempotency key must have 1 to {MAX_KEY_CHARACTERS} characters; this one has {len(key)}, use a UUID"
        )
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise InvalidRequest(
            f"{shown(key)} cannot be an idempotency key: use printable ASCII characters, without spaces at either end"
        )
    return key


def key_of_caller(key: str, subject: str) -> str:
    """
    Return a key that stands for the key of a caller, so that no other caller has the same one.

    Args:
        key: what the caller sends; empty for none.
        subject: who calls; empty without access control.

    Returns:
        The key itself if either is empty.

    Raises:
        InvalidRequest: the key is not allowed.
    """
    if not key or not subject:
        return key
    return hashlib.sha256(f"{subject}\n{check_idempotency_key(key)}".encode()).hexdigest()


def check_same_creation(header: VersionHeader, sha256: str, info: VersionInfo) -> None:
    """
    Check that a creation is the same as the one that made a version under the same key.

    Args:
        sha256: the SHA-256 of the data in standard base64; empty if it is not known yet.

    Raises:
        InvalidRequest: it differs from that version.
    """
    pairs = {
        "model": (header.model_id, info.model_id),
        "archived": (header.archived, info.archived),
        "size": (header.size_bytes, info.size_bytes),
        "SHA-256": (sha256 or info.sha256, info.sha256),
        "metadata": (dict(header.metadata), dict(info.metadata)),
        "creation time": (header.created_ns or info.created_ns, info.created_ns),
    }
    different = [name for name, (now, before) in pairs.items() if now != before]
    if different:
        raise InvalidRequest(
            f"the idempotency key was used before for version {info.version_number} of model {shown(info.model_id)}, "
            f"which differs in {', '.join(different)}; use a new key for each version"
        )


@lru_cache(1024)  # a creation asks twice, before its data and with it
def key_sha256(key: str) -> str:
    """
    Return the SHA-256 of an idempotency key in hexadecimal.

    Raises:
        InvalidRequest: the key is not allowed.
    """
    return hashlib.sha256(check_idempotency_key(key).encode()).hexdigest()


def transient_key_sha256(sha256: str) -> str:
    """
    Return what an archive stores instead of the SHA-256 of a key, if the version was created transient and archived
    later.  So the creation of an archived version with the same key is recognized as another one.

    Args:
        sha256: the SHA-256 of the key in hexadecimal.
    """
    return hashlib.sha256(f"transient {sha256}".encode()).hexdigest()


def version_facts(info: VersionInfo) -> str:
    """
    Return 32 hexadecimal digits that tell a version from every other one that could have its number.
    """
    facts = repr((info.created_ns, info.size_bytes, info.sha256, sorted(info.metadata.items())))
    return hashlib.sha256(facts.encode()).hexdigest()[:32]
