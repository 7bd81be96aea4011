"""
What a server says of a version's data when it has sent it, in the call's trailing metadata: so that a client can check
it without another call.  A client that does not know of it sees no difference.

It is one entry, of words between spaces: each costs every call some microseconds::

    twisted-registry-checksum: <size> <SHA-256 in standard base64> [<XXH3-128 in hexadecimal>]
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from attrs import frozen

KEY = "twisted-registry-checksum"

_SIZE = re.compile("[0-9]{1,20}")


@frozen
class Checksum:
    """
    The size and the hash of a version's data.

    Attributes:
        size_bytes: its length.
        sha256: its SHA-256 in standard base64.
        xxh3: its XXH3-128 in hexadecimal; empty where the server has none at hand.
    """

    size_bytes: int
    sha256: str
    xxh3: str = ""


@lru_cache(maxsize=256)
def to_metadata(size_bytes: int, sha256: str, xxh3: str) -> tuple[tuple[str, str], ...]:
    """
    Write it.
    """
    return ((KEY, f"{size_bytes} {sha256} {xxh3}".rstrip()),)


def from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Checksum | None:
    """
    Read it; ``None`` where it is not there.
    """
    for key, value in metadata:
        if key == KEY and isinstance(value, str):
            match value.split(" "):
                case [size_text, sha256, *rest] if _SIZE.fullmatch(size_text):
                    return Checksum(int(size_text), sha256, "".join(rest))
    return None
