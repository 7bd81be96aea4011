"""
The size and hashes of a version's data, as trailing metadata of the call that sends it: a client can check the data
without another call.  Clients that do not know the entry ignore it.

It is one entry of several words, because each entry costs every call some microseconds::

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
    The size and hashes of a version's data.

    Attributes:
        size_bytes: the length of the data.
        sha256: the SHA-256 in standard base64.
        xxh3: the XXH3-128 in hexadecimal; empty if the server does not know it.
    """

    size_bytes: int
    sha256: str
    xxh3: str = ""


@lru_cache(maxsize=256)
def to_metadata(size_bytes: int, sha256: str, xxh3: str) -> tuple[tuple[str, str], ...]:
    """
    Return the trailing metadata with these values.
    """
    return ((KEY, f"{size_bytes} {sha256} {xxh3}".rstrip()),)


def from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Checksum | None:
    """
    Return the values in trailing metadata; ``None`` if there are none.
    """
    for key, value in metadata:
        if key == KEY and isinstance(value, str):
            match value.split(" "):
                case [size_text, sha256, *rest] if _SIZE.fullmatch(size_text):
                    return Checksum(int(size_text), sha256, "".join(rest))
    return None
