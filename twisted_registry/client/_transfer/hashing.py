"""
The SHA-256 of data in pieces, computed in a thread.
"""

import asyncio

from twisted_registry.client._transfer.threads import start_in_thread
from twisted_registry.domain.integrity import Sha256

_SMALL_BYTES = 64 * 1024
"""Hashing fewer bytes takes less time than starting in a thread."""


async def hash_of(data: bytes) -> str:
    """
    Return the SHA-256 of data, in standard base64.
    """
    hashing = Hashing()
    await hashing.add(data)
    return await hashing.result()


class Hashing:
    """
    The computation of a SHA-256.

    Attributes:
        size_bytes: the size of the pieces so far.
    """

    def __init__(self) -> None:
        self._sha256 = Sha256()
        self._job: asyncio.Future[None] | None = None
        self.size_bytes = 0

    async def add(self, piece: bytes | bytearray | memoryview) -> None:
        """
        Add a piece.  It must not change until the next piece is added or ``result`` is called.
        """
        await self._wait()
        self.size_bytes += len(piece)
        if len(piece) < _SMALL_BYTES:
            self._sha256.update(piece)
        else:
            self._job = start_in_thread(self._sha256.update, piece)

    async def result(self) -> str:
        """
        Return the SHA-256 of all pieces, in standard base64.
        """
        await self._wait()
        return self._sha256.text()

    async def _wait(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            await job
