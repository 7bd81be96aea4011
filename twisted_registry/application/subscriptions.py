"""
Subscriptions to the newest version of a model.
"""

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType

from twisted_registry.application.push_spans import PushSpans
from twisted_registry.application.queries import Queries
from twisted_registry.contracts.application import IEvent
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.errors import Unavailable, UnknownModel, Unreadable
from twisted_registry.domain.events import ModelDeleted, VersionCommitted
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot


class Subscriptions:
    """
    The subscriptions to all models.

    Nothing is queued for a slow subscriber: when it is ready, it reads the newest version.
    """

    def __init__(
        self,
        queries: Queries,
        delivered: Callable[[float], None] | None = None,
        now_seconds: Callable[[], float] = time.perf_counter,
        pushes: PushSpans | None = None,
    ) -> None:
        """

        Args:
            delivered: called with the seconds from the commit of a version until a subscriber was sent it; ``None`` if
                nobody wants to know.
            now_seconds: returns the time in seconds from any fixed point, the same in all threads.
            pushes: traces pushes; ``None`` for no traces.
        """
        self._pushes = pushes
        self._queries = queries
        self._delivered = delivered
        self._now_seconds = now_seconds
        # The last commit of each model that has subscribers: the number, and when it was.
        self._committed: dict[str, tuple[int, float]] = {}
        self._count = 0
        self._runtime = queries.runtime
        self._subscribers: dict[str, set[IEvent]] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return self._count

    def follow(self, registry: IRegistry) -> None:
        """
        Wake the subscribers of a model after each event of a registry that they have to know of.
        """
        registry.subscribe(self.notify, VersionCommitted, ModelDeleted)

    def notify(self, event: VersionCommitted | ModelDeleted) -> None:
        """
        Wake the subscribers of an event's model.  Called in the reactor's thread.
        """
        model_id = event.model_id
        # A subscriber that is added later reads the new state by itself.
        if model_id in self._subscribers:
            if self._delivered is not None and isinstance(event, VersionCommitted):
                self._committed[model_id] = event.info.version_number, self._now_seconds()
            if self._pushes is not None and isinstance(event, VersionCommitted):
                self._runtime.run_soon(partial(self._push, self._pushes, event.info))
            else:
                self._runtime.run_soon(lambda: self._wake(model_id))

    def _push(self, pushes: PushSpans, info: VersionInfo) -> None:
        pushes.begin(info, self.count(info.model_id))
        self._wake(info.model_id)

    def _wake(self, model_id: str) -> None:
        for changed in self._subscribers.get(model_id, ()):
            changed.set()

    def subscribe(self, model_id: str, seen: int = 0) -> "Subscription":
        """
        Return a subscription to a model: a context manager, whose context is the time of the subscription.

        Args:
            seen: the highest version number of the model that the client has seen; 0 if the client does not report it.
        """
        return Subscription(self, self._queries, model_id, seen)

    def close(self) -> None:
        """
        End all subscriptions, and refuse new ones, with ``Unavailable``.
        """
        self._is_closed = True
        for model_id in self._subscribers:
            self._wake(model_id)
        if self._pushes is not None:
            self._pushes.end_all()

    def check_open(self) -> None:
        """
        Check that subscriptions are still accepted.

        Raises:
            Unavailable: the registry is stopping.
        """
        if self._is_closed:
            raise Unavailable("the registry is stopping; subscribe again when it is back")

    def add(self, model_id: str) -> IEvent:
        """
        Add a subscriber.

        Returns:
            an event that is set when the model changes.
        """
        changed = self._runtime.event()
        self._subscribers.setdefault(model_id, set()).add(changed)
        self._count += 1
        return changed

    def remove(self, model_id: str, changed: IEvent) -> None:
        """
        Remove a subscriber.
        """
        subscribers = self._subscribers[model_id]
        subscribers.discard(changed)
        self._count -= 1
        if not subscribers:
            del self._subscribers[model_id]
            self._committed.pop(model_id, None)
            if self._pushes is not None:
                self._pushes.end(model_id)

    def count(self, model_id: str) -> int:
        """
        Return the number of subscriptions to a model.  May be called in any thread.
        """
        return len(self._subscribers.get(model_id, ()))

    def begin_seconds(self) -> float:
        """
        Return the time at which a subscription begins.
        """
        return 0.0 if self._delivered is None else self._now_seconds()

    def note_sent(self, model_id: str, version_number: int, since_seconds: float) -> None:
        """
        Record that a subscriber was sent a version.

        Args:
            since_seconds: when the subscription began: it did not wait for what was committed before.
        """
        if self._pushes is not None:
            self._pushes.sent(model_id, version_number)
        if self._delivered is None:
            return
        number, committed_seconds = self._committed.get(model_id, (0, 0.0))
        if number == version_number and committed_seconds > since_seconds:
            self._delivered(self._now_seconds() - committed_seconds)


class Subscription:
    """
    A subscription to the newest version of one model.  Version numbers only rise.
    """

    def __init__(self, subscriptions: Subscriptions, queries: Queries, model_id: str, seen: int) -> None:
        self._subscriptions = subscriptions
        self._queries = queries
        self._model_id = model_id
        self._seen = seen
        self._incarnation: int | None = None
        self._last_number = 0

    def __enter__(self) -> "Subscription":
        self._changed = self._subscriptions.add(self._model_id)
        self._changed.set()  # the first version is read at once
        self._since_seconds = self._subscriptions.begin_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._subscriptions.remove(self._model_id, self._changed)

    async def next(self) -> VersionInfo:
        """
        Wait for the newest version that has not been returned yet.

        Raises:
            Unavailable: the registry is stopping.
            UnknownModel: there is no such model, or it was deleted.
            CorruptModel: the model's metadata is damaged.
            StorageFailure: the archive cannot be read.
        """
        while True:
            await self._changed.wait()
            self._subscriptions.check_open()
            # Cleared before the snapshot is read, so that no change is lost.
            self._changed.clear()
            info = await self._newer(await self._snapshot())
            if info is not None:
                self._last_number = info.version_number
                return info

    def note_sent(self) -> None:
        """
        Record that the client was sent the version that ``next`` has returned last.
        """
        self._subscriptions.note_sent(self._model_id, self._last_number, self._since_seconds)

    async def _snapshot(self) -> ModelSnapshot:
        snapshot = await self._queries.snapshot(self._model_id)
        if self._incarnation is None:
            await self._queries.note_seen(snapshot, self._seen)
            self._incarnation = snapshot.incarnation
        elif snapshot.incarnation != self._incarnation:
            raise UnknownModel(self._model_id)
        return snapshot

    async def _newer(self, snapshot: ModelSnapshot) -> VersionInfo | None:
        if snapshot.latest is not None:
            return snapshot.latest if snapshot.latest.version_number > self._last_number else None
        if not snapshot.numbers or snapshot.select(-1) <= self._last_number:
            return None
        (result,) = await self._queries.versions(snapshot, [snapshot.select(-1)])
        return None if isinstance(result, Unreadable) else result
