"""
The budget for data in flight to clients: versions, and replies of a kilobyte and more.  Shorter replies are bounded by
the number of calls.

gRPC takes a message as soon as it has memory for it, not when the client reads it: about a chunk of every client that
does not read stays in memory.  So a call reserves bytes before it sends, and releases them when gRPC has sent the
call's status, which follows the last of its messages.
"""

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial

from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.config.limits import Limits
from twisted_registry.contracts.application import IReceiver, IReplyReservation
from twisted_registry.rpc.byte_semaphore import ByteSemaphore, Reservation, SizedSemaphores
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.idle_timeout import Sweep

_log = Logger()

COUNTED_BYTES = 1024
"""Replies and updates of this size or more are counted."""


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
    The budget of bytes in flight to clients.

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
        self._disconnect = disconnect
        self._reservations: set[ReplyReservation] = set()
        self._sweep = Sweep(self._idle_seconds, self._disconnect_idle)

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
        return self._hold(call, await self._semaphores.of_size(size_bytes).reserve(size_bytes))

    def try_reserve(self, call: CallContext, size_bytes: int) -> ReplyReservation | None:
        """
        Reserve bytes until the call ends; return ``None`` if this would need a wait.
        """
        reserved = self._semaphores.of_size(size_bytes).try_reserve(size_bytes)
        return None if reserved is None else self._hold(call, reserved)

    async def write(self, call: CallContext, message: bytes) -> None:
        """
        Send a message of a stream that is silent most of the time.  Its bytes are reserved only while it is sent.
        """
        if len(message) < COUNTED_BYTES:
            await call.write(message)
            return
        self._sweep.start()
        reserved = await self._semaphores.of_size(len(message)).reserve(len(message))
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
            _log.warn(
                "disconnected {peer}, which has not taken a chunk for {seconds:g} s while others waited",
                peer=peer,
                seconds=self._idle_seconds,
            )
        return bool(contended)

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

    async def reserve(self, size_bytes: int) -> IReplyReservation:
        """See ``IReceiver.reserve``."""
        return await self._budget.reserve(self._call, size_bytes)

    def try_reserve(self, size_bytes: int) -> IReplyReservation | None:
        """See ``IReceiver.try_reserve``."""
        return _UNCOUNTED if size_bytes < COUNTED_BYTES else self._budget.try_reserve(self._call, size_bytes)
