"""
What a server says of a version's data when it has sent it, in the call's trailing metadata: so that a client can check
it without another call.  A client that does not know of it sees no difference.
"""

from collections.abc import Iterable

from attrs import frozen

SIZE_KEY = "twisted-registry-data-size"
HASH_KEY = "twisted-registry-data-hash"
DIGEST_KEY = "twisted-registry-data-xxh3-128"


@frozen
class Checksum:
    """
    The size and the hash of a version's data.

    @ivar size_bytes: its length.
    @ivar data_hash: its SHA-256 in standard base64.
    @ivar digest: its XXH3-128 in hexadecimal; empty where the server has none at hand.
    """

    size_bytes: int
    data_hash: str
    digest: str = ""


def to_metadata(checksum: Checksum) -> tuple[tuple[str, str], ...]:
    """
    Write it.
    """
    told = ((SIZE_KEY, str(checksum.size_bytes)), (HASH_KEY, checksum.data_hash))
    return (*told, (DIGEST_KEY, checksum.digest)) if checksum.digest else told


def from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Checksum | None:
    """
    Read it; C{None} where it is not there.
    """
    found = {key: value for key, value in metadata if isinstance(value, str)}
    size_text = found.get(SIZE_KEY, "")
    if size_text.isascii() and size_text.isdecimal() and HASH_KEY in found:
        return Checksum(int(size_text), found[HASH_KEY], found.get(DIGEST_KEY, ""))
    return None
