"""
How much may be on its way to clients: data, and replies of a kilobyte and more.  Shorter ones are bounded by how many
calls there may be.

gRPC takes a message as soon as it has a place to keep it, not when it is read: about a chunk of every reader that does
not read stays in memory.  So a reader takes a share before the first of its chunks is sent, and gives it back when gRPC
has sent the call's status, which goes out behind the last of them.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator

from attrs import define
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.config.limits import Limits
from twisted_registry.contracts.application import IReceiver, IReplyReservation
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.room import Room, Rooms

_log = Logger()

_LOOK_SECONDS = 1.0

COUNTED_BYTES = 1024
"""Replies and updates from this size on are counted."""


@implementer(IReplyReservation)
@define(eq=False)
class Share:
    """
    What one call holds.

    Attributes:
        peer: whose it is, as gRPC says it.
        room: where it was taken from.
        taken: how many bytes.
        since_seconds: since when the client could have taken something; ``None`` while it waits for the server.
    """

    peer: str
    room: Room
    taken: int
    since_seconds: float | None
    _now_seconds: Callable[[], float]

    def start_idle_timer(self) -> None:
        """
        Start the timer anew: there is data for the client to take.
        """
        self.since_seconds = self._now_seconds()

    def stop_idle_timer(self) -> None:
        """
        Stop the timer: the client has taken all there was, and waits for the server.
        """
        self.since_seconds = None


class Outgoing:
    """
    Shares out what may be on its way.

    A reader that takes nothing keeps its share as long as nobody else wants it, and for a time also then.  After that
    its connection is shut down.
    """

    def __init__(
        self,
        limits: Limits,
        disconnect: Callable[[Collection[str]], set[str]],
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """

        Args:
            disconnect: shuts down the connections with peers, and tells with which of them there was one.
        """
        self._now_seconds = now_seconds
        self._rooms = Rooms(limits.downloads_max_bytes)
        self._idle_seconds = limits.download_idle_seconds
        self._hang_up = disconnect
        self._shares: set[Share] = set()
        self._looking = False

    async def share(self, call: CallContext, size_bytes: int) -> Share:
        """
        Take a share, and wait for it where need be.  It is given back when the call is over.

        Args:
            size_bytes: most bytes that will be on their way at once.
        """
        room = self._rooms.of(size_bytes)
        self._look_later()
        return self._share(call, room, await room.take(size_bytes))

    def share_at_once(self, call: CallContext, size_bytes: int) -> Share | None:
        """
        Take a share, where that needs no waiting.
        """
        room = self._rooms.of(size_bytes)
        taken = room.take_at_once(size_bytes)
        return None if taken is None else self._share(call, room, taken)

    def receiver(self, call: CallContext) -> "CallReceiver":
        """
        Return the client of a call as the receiver of its replies.
        """
        return CallReceiver(call, self)

    async def write(self, call: CallContext, message: bytes) -> None:
        """
        Send a message of a stream that is silent for most of the time, with a share for as long as that takes.
        """
        if len(message) < COUNTED_BYTES:
            await call.write(message)
            return
        room = self._rooms.of(len(message))
        self._look_later()
        taken = await room.take(len(message))
        share = Share(call.peer, room, taken, self._now_seconds(), self._now_seconds)
        self._shares.add(share)
        try:
            await call.write(message)
        finally:
            self._give_back(share)

    def _share(self, call: CallContext, room: Room, taken: int) -> Share:
        share = Share(call.peer, room, taken, None, self._now_seconds)
        self._shares.add(share)
        call.add_done_callback(lambda _: self._give_back(share))
        return share

    def _give_back(self, share: Share) -> None:
        self._shares.discard(share)
        share.room.give_back(share.taken)

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(min(_LOOK_SECONDS, self._idle_seconds / 4), self._look)

    def _look(self) -> None:
        self._looking = False
        waiting = [room for room in self._rooms if room.missing_bytes]
        if not waiting:
            return
        self._look_later()
        peers = {peer for room in waiting for peer in self._in_the_way(room)}
        for peer in self._hang_up(peers) if peers else ():
            _log.warn(
                "hung up on {peer}, which has not taken a chunk for {seconds:g} s while others waited",
                peer=peer,
                seconds=self._idle_seconds,
            )

    def _in_the_way(self, room: Room) -> Iterator[str]:
        latest = self._now_seconds() - self._idle_seconds
        since = {share: share.since_seconds for share in self._shares if share.room is room}
        idle = {share: seconds for share, seconds in since.items() if seconds is not None and seconds <= latest}
        missing = room.missing_bytes
        for share in sorted(idle, key=idle.__getitem__):
            if missing <= 0:
                return
            missing -= share.taken
            yield share.peer


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


@implementer(IReceiver)
class CallReceiver:
    """
    The client of one call.
    """

    __slots__ = ("_call", "_outgoing", "write")

    def __init__(self, call: CallContext, outgoing: Outgoing) -> None:
        self._call = call
        self._outgoing = outgoing
        self.write = call.write

    async def reserve(self, size_bytes: int) -> IReplyReservation:
        """See ``IReceiver.reserve``."""
        return await self._outgoing.share(self._call, size_bytes)

    def try_reserve(self, size_bytes: int) -> IReplyReservation | None:
        """See ``IReceiver.try_reserve``."""
        if size_bytes < COUNTED_BYTES:
            return _UNCOUNTED
        return self._outgoing.share_at_once(self._call, size_bytes)
