"""
How much of the uploads under way may be in memory.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted_registry.config.limits import Limits
from twisted_registry.domain.errors import Overloaded, TooLarge
from twisted_registry.rpc.room import Room, Rooms

_BESIDE_BYTES = 64 * 1024
"""What an upload takes beside its data: its task and its stream."""

_MOST_WAITING = 200
"""Each of those that wait holds what gRPC receives ahead, three megabytes or so."""


class Admission:
    """
    Lets uploads in as there is room for them.  One that is not in yet is not read from: gRPC's flow control then keeps
    its data at the client.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rooms = Rooms(limits.uploads_max_bytes)
        self._waiting = 0

    def check(self, size_bytes: int) -> None:
        """
        Refuse a version that is too large for this registry.

        Raises:
            TooLarge: it is.
        """
        most = self._limits.version_max_bytes
        if most and size_bytes > most:
            raise TooLarge(
                f"a version of {size_bytes} bytes is larger than the {most} bytes this registry takes; "
                "start it with a larger --version-max-bytes"
            )

    @asynccontextmanager
    async def admitted(self, size_bytes: int) -> "AsyncIterator[Place]":
        """
        Be in for the length of a context, or longer.

        Args:
            size_bytes: most bytes of data that will be in memory at once.

        Raises:
            Overloaded: there was no room in time, or too many wait for it.
        """
        weight = size_bytes + _BESIDE_BYTES
        room = self._rooms.of(weight)
        taken = room.take_at_once(weight)
        if taken is None:
            taken = await self._wait(room, weight)
        place = Place()
        try:
            yield place
        finally:
            place.when_free(lambda: room.give_back(taken))

    async def _wait(self, room: Room, weight: int) -> int:
        if self._waiting >= _MOST_WAITING:
            raise Overloaded(f"{_MOST_WAITING} uploads wait for room already; try again later")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.uploads_wait_seconds):
                return await room.take(weight)
        except TimeoutError:
            raise Overloaded(
                f"uploads under way hold all of the {self._limits.uploads_max_bytes} bytes they may; try again later, "
                "or start the registry with a larger --uploads-max-bytes"
            ) from None
        finally:
            self._waiting -= 1


class Place:
    """
    The room of one upload.
    """

    def __init__(self) -> None:
        self._until: asyncio.Future[Any] | None = None

    def keep_until(self, over: "asyncio.Future[Any]") -> None:
        """
        Keep it until something is over, also where the call is so before: a commit goes on without its client.
        """
        self._until = over

    def when_free(self, give_back: Callable[[], None]) -> None:
        """
        Give it back as soon as may be.
        """
        if self._until is None:
            give_back()
        else:
            self._until.add_done_callback(lambda _: give_back())
