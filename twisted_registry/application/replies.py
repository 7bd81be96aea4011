"""
Replies as bytes: cached while they are valid, and made within the budget for data in flight to clients.
"""

import weakref
from collections.abc import Awaitable, Callable
from functools import partial

from attrs import frozen

from twisted_registry.contracts.application import IBudget, IReceiver
from twisted_registry.contracts.snapshots import ISnapshots
from twisted_registry.domain.snapshot import ModelSnapshot

_SHORT = 16
"""The largest number of entries of a list that is made without a reservation."""

_MOST_REQUEST_BYTES = 1024
_MOST_REPLY_BYTES = 64 * 1024
_MOST_BYTES = 4 * 1024 * 1024
_ENTRY_BYTES = 500
"""The approximate memory for an entry, in addition to its request and its reply."""

_Entry = tuple[str, "weakref.ref[ModelSnapshot]", bytes]


class ReplyCache:
    """
    A cache of replies by the bytes of their requests, within a budget; the oldest are dropped first.

    A snapshot never changes, so neither does a reply that is made from it: hundreds of actors that ask for the latest
    version get the same bytes.  A reply is valid while its snapshot is the model's current one.
    """

    def __init__(self, snapshots: ISnapshots) -> None:
        self._snapshots = snapshots
        self._entries: dict[bytes, _Entry] = {}
        self._size_bytes = 0

    def find(self, raw: bytes) -> bytes | None:
        """
        Return the reply to a request; ``None`` if no valid one is kept.

        Raises:
            UnknownModel: the model of the request is deleted.
        """
        entry = self._entries.get(raw)
        if entry is None:
            return None
        model_id, made_from, reply = entry
        snapshot = self._snapshots.snapshot(model_id)
        if snapshot is not None and snapshot is made_from():
            return reply
        self._discard(raw)
        return None

    def keep(self, raw: bytes, snapshot: ModelSnapshot, reply: bytes) -> None:
        """
        Keep a reply, if it is small.

        Args:
            snapshot: what the reply was made from, and from nothing else.
        """
        if len(raw) > _MOST_REQUEST_BYTES or len(reply) > _MOST_REPLY_BYTES:
            return
        self._discard(raw)
        # A weak reference: the snapshot may be the last to hold many infos.
        self._entries[raw] = snapshot.model_id, weakref.ref(snapshot), reply
        self._size_bytes += self._cost(raw, reply)
        while self._size_bytes > _MOST_BYTES:
            self._discard(next(iter(self._entries)))

    def _discard(self, raw: bytes) -> None:
        entry = self._entries.pop(raw, None)
        if entry is not None:
            self._size_bytes -= self._cost(raw, entry[2])

    def _cost(self, raw: bytes, reply: bytes) -> int:
        return len(raw) + len(reply) + _ENTRY_BYTES


@frozen
class ListReplies:
    """
    The maker of replies that hold lists, a few long ones at a time.  These keep the processor busy, so that more at
    once would be no faster, and each may take hundreds of megabytes.

    Attributes:
        _slots: the places for the long lists that are being made.
    """

    _slots: IBudget

    async def make(self, receiver: IReceiver, length: int, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """
        Make a reply, and reserve its bytes.

        Args:
            length: the most entries that the reply will hold.
            make: makes the reply, again at each call.

        Raises:
            Overloaded: too many long lists are waiting already.
            QuotaExceeded: the client may get no data now.
        """
        if length > _SHORT:
            make = partial(self._make_in_slot, make)
        reply = await make()
        receiver.count(len(reply))
        reservation = receiver.try_reserve(len(reply))
        if reservation is None:
            # Many calls may wait, so none keeps its reply meanwhile: the reply is made again after the wait.
            size_bytes = len(reply)
            del reply
            reservation = await receiver.reserve(size_bytes)
            reply = await make()
        reservation.start_idle_timer()
        return reply

    async def _make_in_slot(self, make: Callable[[], Awaitable[bytes]]) -> bytes:
        slot = await self._slots.reserve(1)
        try:
            return await make()
        finally:
            slot.release()


async def account_for(receiver: IReceiver, reply: bytes) -> bytes:
    """
    Reserve the bytes of a reply that is made already, and return it.
    """
    reservation = receiver.try_reserve(len(reply)) or await receiver.reserve(len(reply))
    reservation.start_idle_timer()
    return reply
