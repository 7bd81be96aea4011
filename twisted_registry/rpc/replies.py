"""
Replies that need not be made a second time.

A snapshot never changes, so neither does what a request gets from it: hundreds of actors that ask for the latest
version are given the same bytes.  A reply holds as long as its snapshot is the model's.
"""

import weakref

from twisted_registry.contracts.registry import ISnapshots
from twisted_registry.domain.snapshot import ModelSnapshot

_MOST_REQUEST_BYTES = 1024
_MOST_REPLY_BYTES = 64 * 1024
_MOST_BYTES = 4 * 1024 * 1024
_ENTRY_BYTES = 500
"""About what an entry takes beside its request and its reply."""

_Entry = tuple[str, "weakref.ref[ModelSnapshot]", bytes]


class Replies:
    """
    Keeps replies by the bytes of their requests, within a budget; the oldest go first.
    """

    def __init__(self, snapshots: ISnapshots) -> None:
        self._snapshots = snapshots
        self._entries: dict[bytes, _Entry] = {}
        self._size_bytes = 0

    def find(self, raw: bytes) -> bytes | None:
        """
        Give the reply to a request; ``None`` where there is none that holds.

        Raises:
            UnknownModel: the request was of a model that is gone.
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
            snapshot: from which alone it was made.
        """
        if len(raw) > _MOST_REQUEST_BYTES or len(reply) > _MOST_REPLY_BYTES:
            return
        self._discard(raw)
        # Not held itself: it may be the last to know of many infos.
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
