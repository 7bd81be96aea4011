"""
Semaphores that count bytes, and the budgets of uploads and of long lists made from them.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from zope.interface import implementer

from twisted_registry.config.limits import Limits
from twisted_registry.contracts.application import IBudget, IReservation
from twisted_registry.domain.errors import Overloaded

_SMALL_BYTES = 2**20
_SMALL_SHARE = 8

_UPLOAD_OVERHEAD_BYTES = 64 * 1024
"""The memory of an upload in addition to its data: its task and its stream, in bytes."""

_UPLOADS_WAITING_MAX = 200
"""The limit on uploads that wait: for each, gRPC receives about three megabytes in advance."""

_LISTS_AT_ONCE = 2
_LISTS_WAITING_MAX = 100


class ByteSemaphore:
    """
    A number of bytes that calls reserve: first come, first served.  Used in one event loop.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = max(1, limit_bytes)
        self._reserved_bytes = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def missing_bytes(self) -> int:
        """
        How many bytes must be released before the last waiter is served; 0 if nothing waits.
        """
        wanted = sum(size for size, _ in self._waiters)
        return wanted and wanted + self._reserved_bytes - self._limit_bytes

    def try_reserve(self, size_bytes: int) -> "Reservation | None":
        """
        Reserve bytes, unless that takes a wait.
        """
        size = min(size_bytes, self._limit_bytes)
        if self._waiters or self._reserved_bytes + size > self._limit_bytes:
            return None
        self._reserved_bytes += size
        return Reservation(self, size)

    async def reserve(self, size_bytes: int) -> "Reservation":
        """
        Wait for bytes, and reserve them.  A request for more than the limit reserves the whole limit.
        """
        reservation = self.try_reserve(size_bytes)
        if reservation is not None:
            return reservation
        size = min(size_bytes, self._limit_bytes)
        waiter = (size, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter[1]
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        return Reservation(self, size)

    def release(self, size_bytes: int) -> None:
        """
        Return reserved bytes.
        """
        self._reserved_bytes -= size_bytes
        if self._waiters:
            self._serve()

    def _leave(self, waiter: "tuple[int, asyncio.Future[None]]") -> None:
        # It may have been served already when it was cancelled.
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._serve()
        else:
            self.release(waiter[0])

    def _serve(self) -> None:
        while self._waiters and self._reserved_bytes + self._waiters[0][0] <= self._limit_bytes:
            size, served = self._waiters.popleft()
            self._reserved_bytes += size
            if not served.done():
                served.set_result(None)


@implementer(IReservation)
class Reservation:
    """
    Bytes that a call holds.

    Attributes:
        semaphore: where they come from.
        size_bytes: how many there are.
    """

    __slots__ = ("semaphore", "size_bytes")

    def __init__(self, semaphore: ByteSemaphore, size_bytes: int) -> None:
        self.semaphore = semaphore
        self.size_bytes = size_bytes

    def release(self) -> None:
        """See ``IReservation.release``."""
        self.semaphore.release(self.size_bytes)


class SizedSemaphores:
    """
    A number of bytes, an eighth of which is for small reservations: a version of a few kilobytes does not wait behind
    gigabytes.

    Attributes:
        all: the semaphores.
    """

    def __init__(self, limit_bytes: int) -> None:
        small_bytes = limit_bytes // _SMALL_SHARE
        self._small = ByteSemaphore(small_bytes)
        self._large = ByteSemaphore(limit_bytes - small_bytes)
        self.all: Sequence[ByteSemaphore] = (self._small, self._large)

    def of_size(self, size_bytes: int) -> ByteSemaphore:
        """
        Return the semaphore for a reservation of this size.
        """
        return self._small if size_bytes <= _SMALL_BYTES else self._large


@implementer(IBudget)
class UploadBudget:
    """
    The memory budget of running uploads.  An upload that waits for memory is not read: gRPC's flow control then keeps
    its data at the client.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._semaphores = SizedSemaphores(limits.uploads_max_bytes)
        self._waiting = 0

    async def reserve(self, amount: int) -> Reservation:
        """See ``IBudget.reserve``."""
        size_bytes = amount + _UPLOAD_OVERHEAD_BYTES
        semaphore = self._semaphores.of_size(size_bytes)
        return semaphore.try_reserve(size_bytes) or await self._wait(semaphore, size_bytes)

    async def _wait(self, semaphore: ByteSemaphore, size_bytes: int) -> Reservation:
        if self._waiting >= _UPLOADS_WAITING_MAX:
            raise Overloaded(f"{_UPLOADS_WAITING_MAX} uploads wait for memory already; try again later")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.uploads_wait_seconds):
                return await semaphore.reserve(size_bytes)
        except TimeoutError:
            raise Overloaded(
                f"the uploads under way hold all {self._limits.uploads_max_bytes} bytes allowed; try again later, "
                "or start the registry with a larger --uploads-max-bytes"
            ) from None
        finally:
            self._waiting -= 1


@implementer(IBudget)
class ListSlots:
    """
    The slots for long lists that are being made.
    """

    def __init__(self) -> None:
        self._slots = ByteSemaphore(_LISTS_AT_ONCE)
        self._waiting = 0

    async def reserve(self, amount: int) -> Reservation:
        """See ``IBudget.reserve``."""
        if self._waiting >= _LISTS_WAITING_MAX:
            raise Overloaded(
                f"{_LISTS_WAITING_MAX} long lists wait to be made; try again later, or ask for small pages"
            )
        self._waiting += 1
        try:
            return await self._slots.reserve(amount)
        finally:
            self._waiting -= 1
