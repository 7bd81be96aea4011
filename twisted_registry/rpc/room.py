"""
Bytes that many calls share.
"""

import asyncio
from collections import deque
from collections.abc import Iterator

_SMALL_BYTES = 2**20
_SMALL_SHARE = 8


class Room:
    """
    A number of bytes: first come, first served.  Used in one event loop.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = max(1, limit_bytes)
        self._taken_bytes = 0
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def missing_bytes(self) -> int:
        """
        How much more those in line want than there is; 0 where nobody waits.
        """
        wanted = sum(size for size, _ in self._line)
        return wanted and wanted + self._taken_bytes - self._limit_bytes

    async def take(self, size_bytes: int) -> int:
        """
        Take some, and wait for it where need be.  What is larger than all there is takes all there is, and so goes
        alone.

        Returns:
            how many bytes to give back later.
        """
        taken = self.take_at_once(size_bytes)
        if taken is not None:
            return taken
        size = min(size_bytes, self._limit_bytes)
        ticket = (size, asyncio.get_running_loop().create_future())
        self._line.append(ticket)
        try:
            await ticket[1]
        except asyncio.CancelledError:
            self._leave(ticket)
            raise
        return size

    def take_at_once(self, size_bytes: int) -> int | None:
        """
        Take some, where that needs no waiting.

        Returns:
            how many bytes to give back later; ``None`` where one has to wait.
        """
        size = min(size_bytes, self._limit_bytes)
        if self._line or self._taken_bytes + size > self._limit_bytes:
            return None
        self._taken_bytes += size
        return size

    def _leave(self, ticket: "tuple[int, asyncio.Future[None]]") -> None:
        # It may have got what it waited for in the moment in which it was cancelled.
        if ticket in self._line:
            self._line.remove(ticket)
            self._serve()
        else:
            self.give_back(ticket[0])

    def give_back(self, taken: int) -> None:
        """
        Let others have what was taken.
        """
        self._taken_bytes -= taken
        self._serve()

    def _serve(self) -> None:
        while self._line and self._taken_bytes + self._line[0][0] <= self._limit_bytes:
            size, served = self._line.popleft()
            self._taken_bytes += size
            if not served.done():
                served.set_result(None)


class Rooms:
    """
    One number of bytes for the large and the small: the small have a part of their own, so that a version of a few
    kilobytes, which is done in a moment, does not wait behind gigabytes.
    """

    def __init__(self, limit_bytes: int) -> None:
        small_bytes = limit_bytes // _SMALL_SHARE
        self._small = Room(small_bytes)
        self._large = Room(limit_bytes - small_bytes)

    def __iter__(self) -> Iterator[Room]:
        return iter((self._small, self._large))

    def of(self, size_bytes: int) -> Room:
        """
        Give the one to take so much from.
        """
        return self._small if size_bytes <= _SMALL_BYTES else self._large
