"""
The entries of a call's metadata that extend the wire API.  Clients and servers that do not know an entry ignore it.

- The archive: a client that does not know it yet sends ``?``, and the server answers with the archive's id in the
  initial metadata.  From then on the client sends that id, and the server refuses calls if it serves another archive.
- The highest version number of the call's model that the client has seen.
- The idempotency key of a creation: a client that did not get the answer repeats the creation with the same key, and
  gets the version that the first attempt created.
- The id of a request: a client may send one, and each error has it in the trailing metadata, because the server's logs
  name the call by it.
- The checksum of a version's data, as trailing metadata of the call that transfers it, so that a client can check the
  data without another call.  It is one entry of several words, because each entry costs every call some microseconds::

    twisted-registry-checksum: <size> <SHA-256 in standard base64> [<XXH3-128 in hexadecimal>]
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from random import Random

from attrs import frozen

Metadata = Iterable[tuple[str, str | bytes]]

_random = Random()
"""Ids of requests only have to differ; the system's source of random numbers costs three times as much."""

ARCHIVE_KEY = "twisted-registry-archive"

ASKED = "?"
"""Sent instead of an archive's id by a client that does not know it yet."""

SEEN_KEY = "twisted-registry-seen"

IDEMPOTENCY_KEY_ENTRY = "twisted-registry-idempotency-key"
"""The name of the entry; its value follows the rules of ``twisted_registry.domain.idempotency``."""

IDEMPOTENCY_STATUS = "idempotency_keys"
"""
The name of the server's status that lists for which versions it remembers keys, also across its restarts:
``transient``, ``archived``, or both with a comma in between.  Transient versions do not survive a restart, nor do their
keys.
"""

CHECKSUM_KEY = "twisted-registry-checksum"

REQUEST_ID_KEY = "x-request-id"

_REQUEST_ID_MAX_CHARACTERS = 64

_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_SIZE = re.compile("[0-9]{1,20}")


def archive_in(metadata: Metadata | None) -> str:
    """
    Return the archive's id, or ``ASKED``; empty if the metadata hold neither.
    """
    for key, value in metadata or ():
        if key == ARCHIVE_KEY and isinstance(value, str) and (value == ASKED or _ID.fullmatch(value)):
            return value
    return ""


def seen_in(metadata: Metadata | None) -> int:
    """
    Return the highest version number that the client has seen; 0 if the metadata do not say.
    """
    for key, value in metadata or ():
        if key == SEEN_KEY and isinstance(value, str) and _NUMBER.fullmatch(value):
            return int(value)
    return 0


def idempotency_key_in(metadata: Metadata | None) -> str:
    """
    Return the idempotency key of a creation; empty if there is none.
    """
    for key, value in metadata or ():
        if key == IDEMPOTENCY_KEY_ENTRY and isinstance(value, str):
            return value
    return ""


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
def checksum_metadata(size_bytes: int, sha256: str, xxh3: str) -> tuple[tuple[str, str], ...]:
    """
    Return the trailing metadata with the checksum of a version's data.
    """
    return ((CHECKSUM_KEY, f"{size_bytes} {sha256} {xxh3}".rstrip()),)


def checksum_in(metadata: Metadata) -> Checksum | None:
    """
    Return the checksum in trailing metadata; ``None`` if there is none.
    """
    for key, value in metadata:
        if key == CHECKSUM_KEY and isinstance(value, str):
            match value.split(" "):
                case [size_text, sha256, *rest] if _SIZE.fullmatch(size_text):
                    return Checksum(int(size_text), sha256, "".join(rest))
    return None


def new_request_id() -> str:
    """
    Return an id for a request that came without one.
    """
    return f"{_random.getrandbits(64):016x}"


def request_id_in(metadata: Metadata | None) -> str:
    """
    Return the id of a request; empty if there is none, or one that does not belong in a log line.
    """
    for key, value in metadata or ():
        if key == REQUEST_ID_KEY and isinstance(value, str):
            is_loggable = value.isascii() and value.isprintable() and len(value) <= _REQUEST_ID_MAX_CHARACTERS
            return value if is_loggable else ""
    return ""
