"""
The feed of events: what has happened in the registry lately, for clients that watch it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from uuid import uuid4

from attrs import define, field, frozen

from twisted_registry.contracts.application import IEvent, IRuntime
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.access import may_read_all
from twisted_registry.domain.errors import CursorExpired, InvalidRequest, Unavailable, shown
from twisted_registry.domain.events import (
    WATCHED,
    AliasChanged,
    Event,
    ModelSaved,
    VersionAnnotated,
    VersionArchived,
    VersionCommitted,
    kind_of,
)

MAX_EVENTS = 10_000
"""The events that are kept for clients that come back."""

MAX_BYTES = 16 * 1024 * 1024
"""The approximate memory for them: an event may hold the metadata of a version."""

CHECKPOINTS = 10
"""How many checkpoints are made while the kept events are replaced.  The cursors of quiet watches are renewed there."""

MAX_AT_ONCE = 64
"""The most events that a watch returns, so that other clients are served between."""

_MAX_SEEN = 1000
"""The most events that a watch looks at between two waits."""

_WOKEN_AT_ONCE = 32
_WAKING_STEPS = 20
_WAKING_PAUSE_SECONDS = 0.005
"""A checkpoint wakes at least so many watches at once, or all of them in so many steps, with pauses for other calls."""

_EVENT_BYTES = 1000
_PAIR_BYTES = 150
"""The approximate memory for an event, and for a key with a short value."""


@define(eq=False)
class FeedEvent:
    """
    An event with its place in the feed.

    Attributes:
        sequence: counts the events of this process, from 1.
        cursor: continues the feed after this event.
        happened_ns: time in nanoseconds since the Unix epoch.
        size_bytes: the approximate memory for it.
        encoded: the event as an edge sends it, which is the same for all clients; empty until the first is sent.
    """

    sequence: int
    cursor: str
    happened_ns: int
    event: Event
    size_bytes: int
    encoded: bytes = b""


def _size_bytes(event: Event) -> int:
    # Twice the texts: the event is kept as a value and, once a client was sent it, as a message.
    match event:
        case VersionCommitted() | VersionArchived() | VersionAnnotated():
            given, annotations = event.info.metadata, event.annotations
            texts = [*given, *given.values(), *annotations.labels, *annotations.labels.values(), *annotations.metrics]
        case ModelSaved():
            texts = [*event.info.metadata, *event.info.metadata.values()]
        case AliasChanged():
            texts = [event.move.reason]
        case _:
            texts = []
    return _EVENT_BYTES + _PAIR_BYTES * len(texts) + 2 * sum(map(len, texts))


@frozen
class EventFilter:
    """
    The events that a client watches.

    Attributes:
        model_id: one model; empty for all.
        prefix: models whose ids begin with it.
        kinds: names of kinds; empty for all.
        may_read: returns whether the client may read a model.
    """

    model_id: str = ""
    prefix: str = ""
    kinds: frozenset[str] = frozenset()
    may_read: Callable[[str], bool] = may_read_all

    def matches(self, event: Event) -> bool:
        """
        Return whether a client watches an event.
        """
        model_id = event.model_id
        if self.model_id and model_id != self.model_id:
            return False
        if not model_id.startswith(self.prefix) or (self.kinds and kind_of(event) not in self.kinds):
            return False
        return self.may_read(model_id)


class EventFeed:
    """
    The last events of this process.  Nothing is queued for a client that watches: it reads the feed at its own speed,
    and fails if it falls too far behind.

    Events arrive in the reactor's thread; watches are used in the thread that runs the use cases.

    Attributes:
        last: the sequence of the last event; 0 if there was none.
        checkpoint: the sequence of the event at the last checkpoint.  All watches are woken soon after it, also those
            that the event does not concern.
    """

    def __init__(
        self,
        runtime: IRuntime,
        now_ns: Callable[[], int] = time.time_ns,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
        delivered: Callable[[float], None] | None = None,
    ) -> None:
        """

        Args:
            now_ns: returns the time in nanoseconds since the Unix epoch.
            max_events: how many events are kept.
            max_bytes: the approximate memory for them; the last one is kept in any case.
            delivered: called with the seconds from the commit of a version until a watch was sent it; ``None`` if
                nobody wants to know.
        """
        self._delivered = delivered
        self._runtime = runtime
        self._now_ns = now_ns
        self._process = uuid4().hex[:12]
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[FeedEvent] = deque()
        self._size_bytes = 0
        self._size_since_checkpoint_bytes = 0
        self.last = 0
        self.checkpoint = 0
        # The sequence of the last event of each model that has one in the feed.
        self._last_of: dict[str, int] = {}
        self._watching: dict[str, set[IEvent]] = {}
        self._watches = 0
        # The watches that a checkpoint is still to wake, in this order.
        self._to_wake: dict[IEvent, None] = {}
        self._is_closed = False

    def follow(self, registry: IRegistry) -> None:
        """
        Add the events of a registry to the feed from now on.
        """
        registry.subscribe(self._add, *WATCHED)

    def _add(self, event: Event) -> None:
        happened_ns = self._now_ns()
        self._runtime.run_soon(lambda: self._append(event, happened_ns))

    def _append(self, event: Event, happened_ns: int) -> None:
        self.last += 1
        added = FeedEvent(self.last, self.cursor(self.last), happened_ns, event, _size_bytes(event))
        self._events.append(added)
        self._last_of[event.model_id] = added.sequence
        self._size_bytes += added.size_bytes
        while len(self._events) > 1 and (len(self._events) > self._max_events or self._size_bytes > self._max_bytes):
            self._forget(self._events.popleft())
        for model_id in ("", event.model_id):
            self._wake(model_id)
        if self._is_checkpoint(added):
            is_waking = bool(self._to_wake)
            for watching in self._watching.values():
                self._to_wake.update(dict.fromkeys(watching))
            if not is_waking:
                self._wake_some()

    def _forget(self, oldest: FeedEvent) -> None:
        self._size_bytes -= oldest.size_bytes
        model_id = oldest.event.model_id
        if self._last_of[model_id] == oldest.sequence:
            del self._last_of[model_id]

    def _wake_some(self) -> None:
        count = max(_WOKEN_AT_ONCE, len(self._to_wake) // _WAKING_STEPS)
        for changed in [*islice(self._to_wake, count)]:
            del self._to_wake[changed]
            changed.set()
        if self._to_wake:
            self._runtime.call_later(_WAKING_PAUSE_SECONDS, self._wake_some)

    def _is_checkpoint(self, added: FeedEvent) -> bool:
        self._size_since_checkpoint_bytes += added.size_bytes
        are_enough = (added.sequence - self.checkpoint) * CHECKPOINTS >= self._max_events
        if not are_enough and self._size_since_checkpoint_bytes * CHECKPOINTS < self._max_bytes:
            return False
        self.checkpoint, self._size_since_checkpoint_bytes = added.sequence, 0
        return True

    def _wake(self, model_id: str) -> None:
        for changed in self._watching.get(model_id, ()):
            changed.set()

    def cursor(self, sequence: int) -> str:
        """
        Return the cursor of an event.
        """
        return f"{self._process}-{sequence}"

    def watch(self, wanted: EventFilter, cursor: str = "") -> "EventWatch":
        """
        Return a watch.  It begins and ends as a context manager.

        Args:
            wanted: the events to watch.
            cursor: the cursor of the last event that the client has; empty to begin now.

        Raises:
            InvalidRequest: this is not a cursor.
            CursorExpired: events after the cursor are no longer kept.
        """
        return EventWatch(self, wanted, self._sequence(cursor) if cursor else self.last)

    def _sequence(self, cursor: str) -> int:
        process, _, digits = cursor.partition("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
            raise InvalidRequest(f"{shown(cursor)} is not a cursor; use that of the last event, or none")
        if process != self._process:
            raise CursorExpired(cursor)
        sequence = int(digits)
        if sequence > self.last:
            raise InvalidRequest(f"{shown(cursor)} is not a cursor of an event that was sent; use none")
        return sequence

    def after(self, sequence: int) -> Iterator[FeedEvent]:
        """
        Iterate over the events after one.  The feed must not change meanwhile.

        Raises:
            CursorExpired: some of them are no longer kept.
        """
        first = self.last - len(self._events) + 1
        if sequence + 1 < first:
            raise CursorExpired(self.cursor(sequence))
        return (self._events[index] for index in range(sequence + 1 - first, len(self._events)))

    def has_after(self, sequence: int, model_id: str) -> bool:
        """
        Return whether there are events of a model after one.

        Raises:
            CursorExpired: some events after it are no longer kept.
        """
        self.after(sequence)
        return self._last_of.get(model_id, 0) > sequence

    def __len__(self) -> int:
        """
        Return the number of watches.
        """
        return self._watches

    def begin(self, wanted: EventFilter) -> IEvent:
        """
        Begin to wake a watch.
        """
        changed = self._runtime.event()
        self._watching.setdefault(wanted.model_id, set()).add(changed)
        self._watches += 1
        return changed

    def end(self, wanted: EventFilter, changed: IEvent) -> None:
        """
        Stop waking a watch.
        """
        watching = self._watching[wanted.model_id]
        watching.discard(changed)
        self._watches -= 1
        self._to_wake.pop(changed, None)
        if not watching:
            del self._watching[wanted.model_id]

    def now_ns(self) -> int:
        """
        Return the time in nanoseconds since the Unix epoch.
        """
        return self._now_ns()

    def note_sent(self, entry: FeedEvent, since_ns: int) -> None:
        """
        Record that a watch was sent an event.

        Args:
            since_ns: when the watch began: it did not wait for what had happened before.
        """
        if self._delivered is None or entry.happened_ns <= since_ns or not isinstance(entry.event, VersionCommitted):
            return
        self._delivered(max(0, self._now_ns() - entry.happened_ns) / 1e9)

    def close(self) -> None:
        """
        End all watches, and refuse new ones, with ``Unavailable``.
        """
        self._is_closed = True
        for model_id in self._watching:
            self._wake(model_id)

    def check_open(self) -> None:
        """
        Check that watches are still served.

        Raises:
            Unavailable: the registry is stopping.
        """
        if self._is_closed:
            raise Unavailable("the registry is stopping; watch again when it is back")


@define(eq=False)
class EventWatch:
    """
    A client's place in the feed.

    Attributes:
        position: the sequence of the last event that the client has, or does not watch.
    """

    _feed: EventFeed
    _wanted: EventFilter
    position: int
    _changed: IEvent = field(init=False)
    _sent: int = field(init=False)
    _since_ns: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._sent = self.position

    def __enter__(self) -> "EventWatch":
        self._since_ns = self._feed.now_ns()
        self._changed = self._feed.begin(self._wanted)
        self._changed.set()  # events after the cursor are there already
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.end(self._wanted, self._changed)

    @property
    def cursor(self) -> str:
        """
        Continues the feed where this watch is.
        """
        return self._feed.cursor(self.position)

    def note_sent(self, entry: FeedEvent) -> None:
        """
        Record that the client was sent an event.
        """
        self._feed.note_sent(entry, self._since_ns)

    async def next(self) -> list[FeedEvent]:
        """
        Wait for the next events that the client watches.

        Returns:
            The events, at most ``MAX_AT_ONCE``.  None at a checkpoint: there is only a new cursor for the client.

        Raises:
            CursorExpired: the client is too slow: events that it has not read are no longer kept.
            Unavailable: the registry is stopping.
        """
        while True:
            await self._changed.wait()
            self._feed.check_open()
            self._changed.clear()
            wanted = self._take()
            if self.position < self._feed.last:
                self._changed.set()
            if wanted or self._sent < self._feed.checkpoint:
                self._sent = wanted[-1].sequence if wanted else self.position
                return wanted

    def _take(self) -> list[FeedEvent]:
        wanted: list[FeedEvent] = []
        model_id = self._wanted.model_id
        if model_id and not self._feed.has_after(self.position, model_id):
            self.position = self._feed.last
            return wanted
        for entry in islice(self._feed.after(self.position), _MAX_SEEN):
            self.position = entry.sequence
            if self._wanted.matches(entry.event):
                wanted.append(entry)
                if len(wanted) == MAX_AT_ONCE:
                    break
        return wanted
