"""
The search indexes of the models that somebody searches.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.execution import IExecutor, ISerialExecutor
from twisted_registry.domain.errors import TooLarge, Unavailable, index_loading
from twisted_registry.domain.query import Order
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.domain.version_index import VersionIndex, sorted_records
from twisted_registry.mutexes import KeyedMutexes
from twisted_registry.registry.index import ModelSearch
from twisted_registry.registry.models import Model
from twisted_registry.registry.search_loading import (
    VERSIONS_PER_JOB,
    Loaded,
    VersionReader,
    next_numbers,
    with_aliases,
    with_transient,
)
from twisted_registry.registry.state import State

T = TypeVar("T")

MAX_INDEX_BYTES = 256 * 1024 * 1024
"""The approximate memory for all indexes together."""

_MOST_LOADS = 4
"""The most models read at once: each of them keeps a thread of the archive busy."""

_MOST_WAITING = 1000
"""The most searches that wait for the index of a model: those that were given up wait, too."""

_RETRY_SECONDS = 60.0
"""How long damaged versions are left out before they are read again: a disk may fail for a short time."""

_TOO_LARGE_SECONDS = 60.0
"""How long a model that did not fit is refused at once.  To find out takes seconds, and holds up other models."""

_log = Logger(namespace="twisted_registry.registry")

_SETTLED_TOGETHER = 4096
"""After so many versions the heap is settled: collecting garbage among more would stop all threads for long."""


@frozen
class Heap:
    """
    Control of what stops the threads that answer calls: the garbage collector, while it looks at every object, and a
    thread that computes for long.

    Attributes:
        settle: takes all objects out of the collector's sight: those of an index live long.
        unsettle: returns them, because an index is dropped.
        pause: sleeps briefly, so that the threads that answer calls can run.
    """

    settle: Callable[[], None] = lambda: None
    unsettle: Callable[[], None] = lambda: None
    pause: Callable[[], None] = lambda: None


@define(eq=False)
class Searches:
    """
    The search indexes.  A model gets one when it is searched for the first time, and loses it when others need the
    memory.  Used in the reactor's thread, except for ``find`` and ``size_bytes``.

    A model that nobody searches has none, and its changes cost nothing.
    """

    _state: State
    _executor: IExecutor
    _seconds: Callable[[], float]
    _max_bytes: int = MAX_INDEX_BYTES
    _heap: Heap = field(factory=Heap)
    _models: list[Model] = field(factory=list)
    _mutexes: KeyedMutexes = field(factory=KeyedMutexes)
    _loads: "_Slots" = field(factory=lambda: _Slots(DeferredSemaphore(_MOST_LOADS)))
    _loading: list[ModelSearch] = field(factory=list)
    _load_ends: list[Deferred[None]] = field(factory=list)
    _waiting: Counter[str] = field(factory=Counter)
    _too_large: dict[str, "_TooLarge"] = field(factory=dict)
    _is_stopped: bool = False
    _reader: VersionReader = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._reader = VersionReader(self._state, self._max_bytes)

    def stop(self) -> None:
        """
        Cancel the loads under way, so that the registry can close.
        """
        self._is_stopped = True

    @property
    def size_bytes(self) -> int:
        """
        The approximate memory of all of them.
        """
        return sum(search.size_bytes for model in self._models if (search := model.search) is not None)

    def serial(self) -> ISerialExecutor:
        """
        Make an executor for long searches.  May be called in any thread.
        """
        return _Pausing(self._executor.serial(), self._heap.pause)

    def progress(self, snapshot: ModelSnapshot) -> tuple[int, int]:
        """
        See ``ISearches.index_progress``.
        """
        model = self._state.current(snapshot.model_id, snapshot.incarnation)
        if model is None or model.snapshot is None:
            return 0, len(snapshot.numbers)
        search = model.search
        return 0 if search is None else search.read_count, len(model.snapshot.numbers)

    def find(self, snapshot: ModelSnapshot, order: Order) -> VersionIndex | None:
        """
        See ``ISearches.version_index``.
        """
        model = self._state.current(snapshot.model_id, snapshot.incarnation)
        search = None if model is None else model.search
        if search is None or not search.is_loaded or self._is_retry_due(search):
            return None
        index = search.index
        if not index.has_order(order):
            return None
        search.use(order)
        return index

    def _is_retry_due(self, search: ModelSearch) -> bool:
        return bool(search.damaged) and self._seconds() >= search.retry_seconds

    async def load(self, snapshot: ModelSnapshot, order: Order) -> VersionIndex:
        """
        See ``ISearches.load_version_index``.
        """
        waiting = self._waiting[snapshot.model_id]
        if waiting >= _MOST_WAITING:
            raise index_loading(snapshot.model_id, *self.progress(snapshot))
        self._waiting[snapshot.model_id] += 1
        try:
            return await self._load_in_turn(snapshot, order)
        finally:
            self._waiting[snapshot.model_id] -= 1
            self._waiting += Counter()  # without those that are zero

    async def _load_in_turn(self, snapshot: ModelSnapshot, order: Order) -> VersionIndex:
        async with self._mutexes.hold(snapshot.model_id):  # a second caller finds what the first has made
            while True:
                index = await self._load_once(snapshot, order)
                if index is not None:
                    return index

    async def _load_once(self, snapshot: ModelSnapshot, order: Order) -> VersionIndex | None:
        """
        Make an index, or one more order of it.

        Returns:
            the index; ``None`` if it was dropped meanwhile, so that it does not have what has changed since.
        """
        model = self._state.model(snapshot)
        search = model.search
        if search is None:
            async with self._loads:
                model = self._state.model(snapshot)
                search = await self._load_if_small(model, order)
        search.use(order)
        if self._is_retry_due(search):
            await self._read_damaged(model, search)
        if not search.index.has_order(order):
            await self._add_order(search, order)
        if model.search is not search:
            return None
        self._trim(model)
        return search.index

    # Loading

    async def _load_if_small(self, model: Model, order: Order) -> ModelSearch:
        versions, found = len(model.loaded.numbers), self._too_large.get(model.model_id)
        if found is not None and found.until_seconds > self._seconds() and versions >= found.versions:
            raise TooLarge(found.reason)
        self._too_large.pop(model.model_id, None)
        try:
            return await self._load(model, order)
        except TooLarge as error:
            now = self._seconds()
            self._too_large = {key: each for key, each in self._too_large.items() if each.until_seconds > now}
            self._too_large[model.model_id] = _TooLarge(now + _TOO_LARGE_SECONDS, versions, error.reason)
            raise

    async def _load(self, model: Model, order: Order) -> ModelSearch:
        snapshot = model.loaded
        search = model.search = ModelSearch(partial(self._trim, model))
        self._models = [other for other in self._models if other is not model and other.search is not None]
        self._models.append(model)
        self._loading.append(search)
        try:
            self._heap.settle()
            with search.observed() as changed:
                loaded = Loaded()
                await self._load_versions(model, search, loaded)
                records = await self._executor.defer(loaded.tree)
                aliases = self._state.model(snapshot).loaded.aliases
                search.add_loaded(records, loaded.size_bytes, changed, aliases)
                search.use(order)  # it is not the first to be dropped
        except BaseException:
            if model.search is search:
                model.search = None
            raise
        finally:
            self._loading.remove(search)
            ends, self._load_ends = self._load_ends, []
            for end in ends:
                end.callback(None)
        self._heap.settle()
        return search

    async def _load_versions(self, model: Model, search: ModelSearch, loaded: Loaded) -> None:
        """
        Read the versions, a few in each job so that other jobs run in between.

        Raises:
            TooLarge: they do not fit into the memory for indexes.
            UnknownModel: the model was deleted meanwhile.
            Unavailable: the registry is stopping.
            StorageFailure: the archive cannot be read.
        """
        last = settled = 0
        snapshot = model.loaded
        while numbers := next_numbers(self._state.model(snapshot), last):
            if self._is_stopped:
                raise Unavailable("the registry is stopping; search again when it is back")
            last = numbers[-1]
            known = model.loaded.numbers
            # What changes from now on is taken from the model when all are read.
            batch = await self._reader.batch(model, [number for number in numbers if not known.is_transient(number)])
            self._state.model(snapshot)  # checks that it is still there
            batch = with_transient(batch, model.loaded, numbers)
            search.damaged.update(error.version_number for error in batch.damaged)  # or they are being deleted
            self._reader.add(model, loaded, batch)
            search.read_count, search.loading_bytes = loaded.count, loaded.size_bytes
            if self._is_crowded(model, search):
                loaded.clear()
                search.read_count = search.loading_bytes = last = settled = 0
                await self._load_end()
            if loaded.count >= settled + _SETTLED_TOGETHER:
                settled = loaded.count
                self._heap.settle()

    def _is_crowded(self, model: Model, search: ModelSearch) -> bool:
        """
        Return whether the loads under way do not fit into the memory for indexes together.  Then all but the oldest
        begin again later.
        """
        self._trim(model)
        size_bytes = sum(each.size_bytes for each in self._loading)
        return size_bytes > self._max_bytes and search is not self._loading[0]

    async def _load_end(self) -> None:
        end: Deferred[None] = Deferred()
        self._load_ends.append(end)
        await end

    async def _read_damaged(self, model: Model, search: ModelSearch) -> None:
        # Nothing is changed meanwhile: a version that is not damaged but being deleted is gone then.
        snapshot = model.loaded
        remaining = sorted(search.damaged)
        while remaining:
            numbers, remaining = remaining[:VERSIONS_PER_JOB], remaining[VERSIONS_PER_JOB:]
            async with self._state.coordination.exclusive(model.model_id):
                present = [number for number in numbers if number in self._state.model(snapshot).loaded.numbers]
                batch = await self._reader.batch(model, present)
                aliases = self._state.model(snapshot).loaded.aliases
                search.damaged.difference_update(set(numbers) - set(present))
                for error in batch.damaged:
                    self._state.note_damage(snapshot.key(error.version_number), error)
                for record in batch.records:
                    if record.number in search.damaged:
                        search.put(with_aliases(record, aliases))
        search.retry_seconds = self._seconds() + _RETRY_SECONDS

    async def _add_order(self, search: ModelSearch, order: Order) -> None:
        index = search.index
        with search.observed() as changed:
            # The changes of the index are applied there, too.
            tree = await self._executor.defer(lambda: sorted_records(index.records, order, self._heap.pause))
            search.add_order(order, tree, index.records, changed)
        self._heap.settle()

    # The budget

    def _trim(self, grown: Model) -> None:
        # The index that grows goes last, and only if it is too large by itself: loads wait for others.  Those that are
        # being loaded are counted, and stay.
        indexes = [(model, model.search) for model in self._models if model.search is not None]
        self._models = [model for model, _ in indexes]
        size_bytes = sum(search.size_bytes for _, search in indexes)
        loaded = [each for each in indexes if each[1].is_loaded]
        for model, search in sorted(loaded, key=lambda each: (each[0] is grown, each[1].last_use)):
            if size_bytes <= self._max_bytes or (model is grown and search.size_bytes <= self._max_bytes):
                return
            size_bytes -= search.size_bytes
            model.search = None
            self._heap.unsettle()
            _log.info("the search index of {id!r} is dropped: others need its memory", id=model.model_id)


@frozen(eq=False)
class _TooLarge:
    """
    A model whose versions did not fit into the memory for indexes.

    Attributes:
        until_seconds: when it may be read again.
        versions: how many versions it had; with fewer, it may be read again at once.
        reason: the text of the error.
    """

    until_seconds: float
    versions: int
    reason: str


@implementer(ISerialExecutor)
@frozen(eq=False)
class _Pausing:
    """
    A serial executor that pauses after each job.
    """

    _executor: ISerialExecutor
    _pause: Callable[[], None]

    def submit(self, job: Callable[[], T], size_bytes: int) -> Future[T]:
        """See ``ISerialExecutor.submit``."""
        future: Future[T] = self._executor.submit(job, size_bytes)
        self._executor.submit(self._pause, 0)
        return future


@frozen(eq=False)
class _Slots:
    """
    A semaphore as a context.
    """

    _semaphore: DeferredSemaphore

    async def __aenter__(self) -> None:
        await self._semaphore.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._semaphore.release()
