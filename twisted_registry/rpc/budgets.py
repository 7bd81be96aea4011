"""
Budgets of memory, made of semaphores that count bytes: for uploads, for long lists, and for data in flight to clients.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.config.limits import Limits
from twisted_registry.contracts.application import IBudget, IReceiver, IReplyReservation, IReservation
from twisted_registry.domain.errors import Overloaded
from twisted_registry.repeated_lines import RepeatedLines, more
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.idle_timeout import Sweep
from twisted_registry.rpc.metered_write import metered_write

_log = Logger()

_SMALL_BYTES = 2**20
_SMALL_SHARE = 8

_UPLOAD_OVERHEAD_BYTES = 64 * 1024
"""The memory of an upload in addition to its data: its task and its stream, in bytes."""

_UPLOADS_WAITING_MAX = 200
"""The limit on uploads that wait: for each, gRPC receives about three megabytes in advance."""

_UPLOADS_WAITING_MAX_EACH = 150
"""The limit on uploads of one caller that wait, so that others find a place."""

_LISTS_AT_ONCE = 2
_LISTS_WAITING_MAX = 100
_SMALL_PAGES = "ask for small pages"

_SEARCHES_AT_ONCE = 4
"""They take turns in one thread."""

_QUOTA_PAUSE_SECONDS = 1.0
"""Even a caller that has uploaded far too much gets an update a second."""

COUNTED_BYTES = 1024
"""Replies and updates of this size or more are counted.  Shorter ones are bounded by the number of calls."""


_Waiter = tuple[int, asyncio.Future[None]]
"""A size in bytes, and what is set when they are reserved."""


class ByteSemaphore:
    """
    A number of bytes that calls reserve: first come, first served, but callers take turns, so that one with many calls
    does not keep the others waiting.  Used in one event loop.

    Attributes:
        reserved_bytes: how many are reserved.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = max(1, limit_bytes)
        self.reserved_bytes = 0
        # By caller; the one whose turn it is first.
        self._waiters: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    @property
    def missing_bytes(self) -> int:
        """
        How many bytes must be released before the last waiter is served; 0 if nothing waits.
        """
        wanted = sum(size for waiters in self._waiters.values() for size, _ in waiters)
        return wanted and wanted + self.reserved_bytes - self._limit_bytes

    @property
    def waiting(self) -> int:
        """
        How many calls wait.
        """
        return sum(map(len, self._waiters.values()))

    def try_reserve(self, size_bytes: int) -> "Reservation | None":
        """
        Reserve bytes, unless that takes a wait.
        """
        size = min(size_bytes, self._limit_bytes)
        if self._waiters or self.reserved_bytes + size > self._limit_bytes:
            return None
        self.reserved_bytes += size
        return Reservation(self, size)

    async def reserve(self, size_bytes: int, caller: str = "") -> "Reservation":
        """
        Wait for bytes, and reserve them.  A request for more than the limit reserves the whole limit.

        Args:
            caller: who takes turns with others; empty if it is not known.
        """
        reservation = self.try_reserve(size_bytes)
        if reservation is not None:
            return reservation
        size = min(size_bytes, self._limit_bytes)
        waiter = (size, asyncio.get_running_loop().create_future())
        self._waiters.setdefault(caller, deque()).append(waiter)
        try:
            await waiter[1]
        except asyncio.CancelledError:
            self._leave(caller, waiter)
            raise
        return Reservation(self, size)

    def release(self, size_bytes: int) -> None:
        """
        Return reserved bytes.
        """
        self.reserved_bytes -= size_bytes
        if self._waiters:
            self._serve()

    def _leave(self, caller: str, waiter: "_Waiter") -> None:
        # It may have been served already when it was cancelled.
        waiters = self._waiters.get(caller, ())
        if waiter in waiters:
            self._waiters[caller].remove(waiter)
            if not self._waiters[caller]:
                del self._waiters[caller]
            self._serve()
        else:
            self.release(waiter[0])

    def _serve(self) -> None:
        while self._waiters:
            caller, waiters = next(iter(self._waiters.items()))
            size, served = waiters[0]
            if self.reserved_bytes + size > self._limit_bytes:
                return  # a smaller one behind it waits, too: otherwise a large one could wait forever
            waiters.popleft()
            self._waiters.move_to_end(caller)
            if not waiters:
                del self._waiters[caller]
            self.reserved_bytes += size
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

    @property
    def reserved_bytes(self) -> int:
        """
        How many bytes are reserved.
        """
        return self._small.reserved_bytes + self._large.reserved_bytes

    @property
    def waiting(self) -> int:
        """
        How many calls wait.
        """
        return self._small.waiting + self._large.waiting


@implementer(IBudget)
class UploadBudget:
    """
    The memory budget of running uploads.  An upload that waits for memory is not read: gRPC's flow control then keeps
    its data at the client.

    Attributes:
        refused: how many were refused.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._semaphores = SizedSemaphores(limits.uploads_max_bytes)
        self._waiting: Counter[str] = Counter()
        self.refused = 0

    @property
    def waiting(self) -> int:
        """
        How many uploads wait.
        """
        return self._waiting.total()

    @property
    def reserved_bytes(self) -> int:
        """
        How many bytes are reserved.
        """
        return self._semaphores.reserved_bytes

    async def reserve(self, amount: int, caller: str = "") -> Reservation:
        """See ``IBudget.reserve``."""
        size_bytes = amount + _UPLOAD_OVERHEAD_BYTES
        semaphore = self._semaphores.of_size(size_bytes)
        return semaphore.try_reserve(size_bytes) or await self._wait(semaphore, size_bytes, caller)

    async def _wait(self, semaphore: ByteSemaphore, size_bytes: int, caller: str) -> Reservation:
        self._check_waiting(caller)
        self._waiting[caller] += 1
        try:
            async with asyncio.timeout(self._limits.uploads_wait_seconds):
                return await semaphore.reserve(size_bytes, caller)
        except TimeoutError:
            self.refused += 1
            raise Overloaded(
                f"the uploads under way hold all {self._limits.uploads_max_bytes} bytes allowed; try again later, "
                "or start the registry with a larger --uploads-max-bytes"
            ) from None
        finally:
            self._waiting[caller] -= 1
            if not self._waiting[caller]:
                del self._waiting[caller]

    def _check_waiting(self, caller: str) -> None:
        if self.waiting >= _UPLOADS_WAITING_MAX:
            self.refused += 1
            raise Overloaded(f"{_UPLOADS_WAITING_MAX} uploads are already waiting for memory; try again later")
        if caller and self._waiting[caller] >= _UPLOADS_WAITING_MAX_EACH:
            self.refused += 1
            raise Overloaded(
                f"{_UPLOADS_WAITING_MAX_EACH} uploads of {caller} are already waiting for memory; try again later"
            )


@implementer(IBudget)
class ListSlots:
    """
    The slots for long lists that are being made, or for long searches.
    """

    def __init__(self, at_once: int = _LISTS_AT_ONCE, kind: str = "long lists", advice: str = _SMALL_PAGES) -> None:
        """

        Args:
            at_once: how many there are.
            kind: what they are for, in errors.
            advice: what a client can do, besides waiting.
        """
        self._slots = ByteSemaphore(at_once)
        self._waiting = 0
        self._kind, self._advice = kind, advice

    @classmethod
    def for_searches(cls) -> "ListSlots":
        """
        Return the slots for searches that take long.
        """
        return cls(_SEARCHES_AT_ONCE, "long searches", "make the filter simpler")

    async def reserve(self, amount: int, caller: str = "") -> Reservation:
        """See ``IBudget.reserve``."""
        if self._waiting >= _LISTS_WAITING_MAX:
            raise Overloaded(
                f"{_LISTS_WAITING_MAX} {self._kind} are already waiting; try again later, or {self._advice}"
            )
        self._waiting += 1
        try:
            return await self._slots.reserve(amount, caller)
        finally:
            self._waiting -= 1


@implementer(IReplyReservation)
class ReplyReservation:
    """
    The bytes that one call holds.

    Attributes:
        peer: the connection of its client, as gRPC names it.
        reserved: the bytes.
        idle_since_seconds: when the client last got something to take; ``None`` while it waits for the server.
    """

    __slots__ = ("_now_seconds", "idle_since_seconds", "peer", "reserved")

    def __init__(self, peer: str, reserved: Reservation, now_seconds: Callable[[], float]) -> None:
        self.peer = peer
        self.reserved = reserved
        self.idle_since_seconds: float | None = None
        self._now_seconds = now_seconds

    def start_idle_timer(self) -> None:
        """See ``IReplyReservation.start_idle_timer``."""
        self.idle_since_seconds = self._now_seconds()

    def stop_idle_timer(self) -> None:
        """See ``IReplyReservation.stop_idle_timer``."""
        self.idle_since_seconds = None


@implementer(IReplyReservation)
class _Uncounted:
    """
    The reservation of a reply that is too short to be counted.
    """

    def start_idle_timer(self) -> None:
        """See ``IReplyReservation.start_idle_timer``."""

    def stop_idle_timer(self) -> None:
        """See ``IReplyReservation.stop_idle_timer``."""


_UNCOUNTED = _Uncounted()


class ReplyBudget:
    """
    The budget of bytes in flight to clients: versions, and replies of a kilobyte and more.

    gRPC takes a message as soon as it has memory for it, not when the client reads it: about a chunk of every client
    that does not read stays in memory.  So a call reserves bytes before it sends, and releases them when gRPC has sent
    the call's status, which follows the last of its messages.

    A client that reads nothing keeps its bytes while no other call waits for them.  If another call waits, its
    connection is closed after the idle timeout.
    """

    def __init__(
        self,
        limits: Limits,
        disconnect: Callable[[Collection[str]], set[str]],
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """

        Args:
            disconnect: closes the connections with peers, and returns those that existed.
        """
        self._now_seconds = now_seconds
        self._semaphores = SizedSemaphores(limits.downloads_max_bytes)
        self._idle_seconds = limits.download_idle_seconds
        self._lines = RepeatedLines(now_seconds)
        self._disconnect = disconnect
        self._reservations: set[ReplyReservation] = set()
        self._sweep = Sweep(self._idle_seconds, self._disconnect_idle)

    @property
    def reserved_bytes(self) -> int:
        """
        How many bytes are reserved.
        """
        return self._semaphores.reserved_bytes

    @property
    def waiting(self) -> int:
        """
        How many calls wait.
        """
        return self._semaphores.waiting

    def receiver(self, call: CallContext) -> "CallReceiver":
        """
        Return the client of a call as the receiver of its replies.
        """
        return CallReceiver(call, self)

    async def reserve(self, call: CallContext, size_bytes: int) -> ReplyReservation:
        """
        Wait for bytes of the budget, and reserve them until the call ends.

        Args:
            size_bytes: the most bytes that will be in flight at once.
        """
        self._sweep.start()
        return self._hold(call, await self._semaphores.of_size(size_bytes).reserve(size_bytes, call.actor))

    def try_reserve(self, call: CallContext, size_bytes: int) -> ReplyReservation | None:
        """
        Reserve bytes until the call ends; return ``None`` if this would need a wait.
        """
        reserved = self._semaphores.of_size(size_bytes).try_reserve(size_bytes)
        return None if reserved is None else self._hold(call, reserved)

    async def write(self, call: CallContext, message: bytes) -> None:
        """
        Send a message of a stream that is silent most of the time.  Its bytes are reserved only while it is sent.

        A quota of bytes does not end the stream; its messages wait instead.
        """
        if call.meter is not None and (seconds := call.meter.count_bytes(len(message))):
            await asyncio.sleep(min(seconds, _QUOTA_PAUSE_SECONDS))
        if len(message) < COUNTED_BYTES:
            await call.write(message)
            return
        self._sweep.start()
        reserved = await self._semaphores.of_size(len(message)).reserve(len(message), call.actor)
        reservation = self._add(call, reserved)
        reservation.start_idle_timer()
        try:
            await call.write(message)
        finally:
            self._release(reservation)

    def _hold(self, call: CallContext, reserved: Reservation) -> ReplyReservation:
        reservation = self._add(call, reserved)
        call.add_done_callback(partial(self._release, reservation))
        return reservation

    def _add(self, call: CallContext, reserved: Reservation) -> ReplyReservation:
        reservation = ReplyReservation(call.peer, reserved, self._now_seconds)
        self._reservations.add(reservation)
        return reservation

    def _release(self, reservation: ReplyReservation, _: object = None) -> None:
        self._reservations.discard(reservation)
        reservation.reserved.release()

    def _disconnect_idle(self) -> bool:
        """
        Close the connections of idle clients whose bytes other calls wait for.

        Returns:
            ``True`` while calls wait.
        """
        contended = [semaphore for semaphore in self._semaphores.all if semaphore.missing_bytes]
        peers = {peer for semaphore in contended for peer in self._idle_peers(semaphore)}
        for peer in self._disconnect(peers) if peers else ():
            self._lines.happened("idle", partial(self._log_idle, peer))
        return bool(contended)

    def _log_idle(self, peer: str, times: int) -> None:
        _log.warn(
            "disconnected {peer}, which has not taken a chunk for {seconds:g} s while others waited{more}; if it is "
            "only slow, raise --download-idle-seconds or --downloads-max-bytes",
            peer=peer,
            seconds=self._idle_seconds,
            more=more(times),
        )

    def _idle_peers(self, semaphore: ByteSemaphore) -> Iterator[str]:
        """
        Iterate over the peers that are idle for the longest, as many as hold the bytes that are missing.
        """
        latest = self._now_seconds() - self._idle_seconds
        idle = [
            (reservation.idle_since_seconds, reservation)
            for reservation in self._reservations
            if reservation.reserved.semaphore is semaphore
            and reservation.idle_since_seconds is not None
            and reservation.idle_since_seconds <= latest
        ]
        missing_bytes = semaphore.missing_bytes
        for _, reservation in sorted(idle, key=lambda pair: pair[0]):
            if missing_bytes <= 0:
                return
            missing_bytes -= reservation.reserved.size_bytes
            yield reservation.peer


@implementer(IReceiver)
class CallReceiver:
    """
    The client of one call.
    """

    __slots__ = ("_budget", "_call", "write")

    def __init__(self, call: CallContext, budget: ReplyBudget) -> None:
        self._call = call
        self._budget = budget
        self.write = call.write

    def count(self, size_bytes: int) -> None:
        """See ``IReceiver.count``."""
        if self._call.meter is not None:
            self._call.meter.take_bytes(size_bytes)

    def count_stream(self, size_bytes: int) -> None:
        """See ``IReceiver.count_stream``."""
        self.count(size_bytes)
        if self._call.meter is not None:
            self.write = metered_write(self._call, self._call.meter, size_bytes)

    async def reserve(self, size_bytes: int) -> IReplyReservation:
        """See ``IReceiver.reserve``."""
        return await self._budget.reserve(self._call, size_bytes)

    def try_reserve(self, size_bytes: int) -> IReplyReservation | None:
        """See ``IReceiver.try_reserve``."""
        return _UNCOUNTED if size_bytes < COUNTED_BYTES else self._budget.try_reserve(self._call, size_bytes)
