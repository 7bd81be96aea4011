"""
The budgets of the use cases: bytes of uploads in memory, and long lists that are being made.
"""

import asyncio

from attrs import frozen
from zope.interface import implementer

from twisted_registry.config.limits import Limits
from twisted_registry.contracts.application import IBudget, IReservation
from twisted_registry.domain.errors import Overloaded
from twisted_registry.rpc.room import Room, Rooms

_UPLOAD_OVERHEAD_BYTES = 64 * 1024
"""What an upload takes beside its data: its task and its stream."""

_UPLOADS_WAITING_MAX = 200
"""Each upload that waits holds what gRPC receives ahead, about three megabytes."""

_LISTS_AT_ONCE = 2
_LISTS_WAITING_MAX = 100


@implementer(IReservation)
@frozen(eq=False)
class _Reservation:
    """
    A part of a budget.
    """

    _room: Room
    _amount: int

    def release(self) -> None:
        """See ``IReservation.release``."""
        self._room.give_back(self._amount)


@implementer(IBudget)
class UploadBudget:
    """
    The bytes of uploads that may be in memory.  An upload that waits for them is not read from: gRPC's flow control
    then keeps its data with the client.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rooms = Rooms(limits.uploads_max_bytes)
        self._waiting = 0

    async def reserve(self, amount: int) -> IReservation:
        """See ``IBudget.reserve``."""
        size_bytes = amount + _UPLOAD_OVERHEAD_BYTES
        room = self._rooms.of(size_bytes)
        reserved = room.take_at_once(size_bytes)
        if reserved is None:
            reserved = await self._wait(room, size_bytes)
        return _Reservation(room, reserved)

    async def _wait(self, room: Room, size_bytes: int) -> int:
        if self._waiting >= _UPLOADS_WAITING_MAX:
            raise Overloaded(f"{_UPLOADS_WAITING_MAX} uploads wait for memory already; try again later")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.uploads_wait_seconds):
                return await room.take(size_bytes)
        except TimeoutError:
            raise Overloaded(
                f"uploads under way hold all of the {self._limits.uploads_max_bytes} bytes they may; try again later, "
                "or start the registry with a larger --uploads-max-bytes"
            ) from None
        finally:
            self._waiting -= 1


@implementer(IBudget)
class ListSlots:
    """
    The long lists that may be made at a time.
    """

    def __init__(self) -> None:
        self._slots = Room(_LISTS_AT_ONCE)
        self._waiting = 0

    async def reserve(self, amount: int) -> IReservation:
        """See ``IBudget.reserve``."""
        if self._waiting >= _LISTS_WAITING_MAX:
            raise Overloaded(
                f"{_LISTS_WAITING_MAX} long lists wait to be made; try again later, or ask for small pages"
            )
        self._waiting += 1
        try:
            return _Reservation(self._slots, await self._slots.take(amount))
        finally:
            self._waiting -= 1
