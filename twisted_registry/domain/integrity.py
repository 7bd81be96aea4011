"""
The hashes of a stream of data, the same at both ends of the wire: SHA-256 and XXH3.

The SHA-256 is the identity of a version.  The XXH3, of 128 bits, takes a fifteenth of the time to compute, and is
compared for data whose SHA-256 was checked before.
"""

import hashlib
from base64 import b64encode

from xxhash import xxh3_128, xxh3_128_digest

__all__ = ["Sha256", "Xxh3", "xxh3_digest"]

Xxh3 = xxh3_128
"""The XXH3 of a stream: ``update`` adds a piece, and ``hexdigest`` returns the hash as the wire carries it."""

xxh3_digest = xxh3_128_digest
"""A function that returns the XXH3 of one buffer, as 16 bytes."""


class Sha256:
    """
    The SHA-256 of a stream.

    Attributes:
        update: adds a piece of data.  It is the method of ``hashlib`` itself, so that a piece costs no further call.
    """

    __slots__ = ("_state", "update")

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self.update = self._state.update

    def text(self) -> str:
        """
        Return the hash of all pieces so far, in standard base64, as the wire and the archive carry it.
        """
        return b64encode(self._state.digest()).decode("ascii")
