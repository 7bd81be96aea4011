"""
The hash of data that comes piece by piece, computed in a thread beside whatever else is done with the pieces.
"""

import asyncio
import hashlib
from base64 import b64encode

from twisted_registry.client._transfer.threads import begun_in_thread

_SMALL_BYTES = 64 * 1024
"""Less than this is hashed sooner than a thread would begin."""


async def hash_of(data: bytes) -> str:
    """
    Give the SHA-256 of data in standard base64.
    """
    hashing = Hashing()
    await hashing.add(data)
    return await hashing.result()


class Hashing:
    """
    Computes a SHA-256.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._job: asyncio.Future[None] | None = None
        self.size_bytes = 0

    async def add(self, piece: bytes | bytearray | memoryview) -> None:
        """
        Hash a piece too.  It is done when the next one is added, or the hash is asked for: it must not change until
        then.
        """
        await self._settle()
        self.size_bytes += len(piece)
        if len(piece) < _SMALL_BYTES:
            self._hash.update(piece)
        else:
            self._job = begun_in_thread(self._hash.update, piece)

    async def result(self) -> str:
        """
        Give the hash of all pieces, in standard base64.
        """
        await self._settle()
        return b64encode(self._hash.digest()).decode()

    async def _settle(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            await job
