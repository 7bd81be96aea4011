"""
The transient store as the registry uses it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.contracts.execution import IExecutor, INonBlocking
from twisted_registry.contracts.transient import (
    EvictionRank,
    ITransientReader,
    ITransientStore,
    ITransientWriter,
)
from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.models import VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.mutexes import KeyedMutexes
from twisted_registry.registry.downloads import TransientDownload
from twisted_registry.registry.ranks import RankChange

_COPY_SHARE = 8
"""A copy of an archived version may take at most this part of the budget, an eighth."""

_STORE = "the store"

_log = Logger(namespace="twisted_registry.registry")


@frozen(eq=False)
class Publication:
    """
    The steps after a version is stored: publish it, and then the evictions that it caused.
    """

    kept: Callable[[], None]
    evicted: Callable[[list[VersionKey]], None]


class Transients:
    """
    The transient store, with the ranks of its content.

    Changes of the store follow each other, each after the last one is published: otherwise, with a store that blocks,
    the eviction of a version could be published before its arrival.

    Attributes:
        in_memory: whether the store keeps its content in memory; only a store that never blocks does.
    """

    def __init__(self, store: ITransientStore, executor: IExecutor) -> None:
        self.store = store
        self.executor = executor
        self.in_memory = INonBlocking.providedBy(store)
        self._mutexes = KeyedMutexes()
        # Any thread notes uses here, the last one at the end; the store learns about them only before it evicts.  Each
        # version is in it once, so that one that is read all the time does not make the others seem unused.
        self._touched: dict[VersionKey, None] = {}
        self._copying: dict[VersionKey, object] = {}
        self._pinned: set[VersionKey] = set()

    # Copies of archived versions

    def copy_writer(self, size_bytes: int) -> ITransientWriter | None:
        """
        Return a writer for the copy of an archived version; ``None`` if it is too large a part of the budget, if
        transient versions leave it no room, or if a copy would be no faster than the archive.
        """
        if not self.in_memory or size_bytes > self.store.max_bytes // _COPY_SHARE:
            return None
        if not self.store.has_room(size_bytes, EvictionRank.COPY):
            return None
        return self.store.create_version()

    def begin_copy(self, key: VersionKey) -> bool:
        """
        Return whether the caller is to copy a version while reading it: only one reader at a time does.  May be called
        in any thread.
        """
        token = object()
        return self._copying.setdefault(key, token) is token

    def end_copy(self, key: VersionKey) -> None:
        """
        Record that a copy is made or abandoned.  May be called in any thread.
        """
        self._copying.pop(key, None)

    # Reading

    def download(
        self, key: VersionKey, xxh3: str, select: Callable[[ITransientReader], ITransientReader] | None = None
    ) -> TransientDownload:
        """
        Start reading a version.  May be called in any thread.

        Args:
            xxh3: see ``IDownload.xxh3``.
            select: returns a reader of a part, made from a reader of all the data; ``None`` to read all of it.

        Raises:
            UnknownVersion: it was evicted.
        """
        self._touched.pop(key, None)
        self._touched[key] = None
        download = TransientDownload(key, xxh3, self.store, self.executor.serial, select)
        if self.in_memory:
            download.open()
        return download

    # Changing the content

    async def commit(
        self,
        writer: ITransientWriter,
        key: VersionKey,
        rank: EvictionRank,
        publication: Publication,
        lowered: Sequence[RankChange] = (),
    ) -> None:
        """
        Keep a version, and evict what exceeds the budget.

        Args:
            lowered: the versions of the model that have lower ranks from now on.
        """
        async with self._mutexes.hold(_STORE):
            touched, self._touched = self._touched, {}
            evicted = await self.executor.defer(lambda: self._commit(writer, key, rank, list(touched), lowered))
            publication.kept()
            publication.evicted(evicted)

    def _commit(
        self,
        writer: ITransientWriter,
        key: VersionKey,
        rank: EvictionRank,
        touched: list[VersionKey],
        lowered: Sequence[RankChange],
    ) -> list[VersionKey]:
        self.store.touch(touched)
        changes = [change for change in lowered if change.key not in self._pinned]
        for change in changes:
            self.store.set_rank(change.key, change.after)
        try:
            return writer.commit(key, rank)
        except BaseException:
            for change in changes:
                self.store.set_rank(change.key, change.before)
            raise

    async def set_ranks(self, ranks: Iterable[tuple[VersionKey, EvictionRank]]) -> None:
        """
        Change the ranks of versions, except of those that are pinned.
        """
        for key, rank in ranks:
            if key not in self._pinned:
                await self._change(partial(self.store.set_rank, key, rank))

    async def pin(self, key: VersionKey) -> ITransientReader:
        """
        Open a version, and keep it in the store for as long as anything else can be evicted, until ``unpin``.

        Raises:
            UnknownVersion: it was evicted.
        """
        async with self._mutexes.hold(_STORE):
            try:
                reader = await self.executor.defer(partial(self.store.open_version, key))
            except KeyError:
                raise UnknownVersion(key.model_id, key.version_number) from None
            self._pinned.add(key)
            await self.executor.defer(partial(self.store.set_rank, key, EvictionRank.PINNED))
            return reader

    async def unpin(self, key: VersionKey, rank: EvictionRank) -> None:
        """
        Let a version be evicted again.

        Args:
            rank: its rank from now on.
        """
        self._pinned.discard(key)
        await self._change(partial(self.store.set_rank, key, rank))

    async def drop(self, keys: Sequence[VersionKey]) -> None:
        """
        Drop versions that were deleted.
        """
        await self._change(partial(self.store.remove, keys))

    async def remove(self, snapshot: ModelSnapshot) -> None:
        """
        Drop all versions of a model.
        """
        await self._change(partial(self.store.remove, [snapshot.key(number) for number in snapshot.held]))

    async def _change(self, job: Callable[[], None]) -> None:
        async with self._mutexes.hold(_STORE):
            try:
                await self.executor.defer(job)
            except Exception:  # the change that this one follows has happened, whatever the store says
                _log.failure("the transient store failed")
