"""
The transient store as the registry uses it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

from attrs import frozen
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.execution import IExecutor, INonBlocking
from twisted_registry.contracts.transient import (
    EvictionRank,
    IPredictableStore,
    ITransientReader,
    ITransientStore,
    ITransientWriter,
)
from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.models import Chunk, VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.mutexes import KeyedMutexes
from twisted_registry.registry.downloads import TransientDownload
from twisted_registry.registry.ranks import RankChange

_COPY_SHARE = 8
"""A copy of an archived version may take at most this part of the budget, an eighth."""

_STORE = "the store"


class Archiver(Protocol):
    """
    The part of ``EvictionArchiver`` that the store needs.
    """

    def is_wanted(self, key: VersionKey) -> bool:
        """See ``EvictionArchiver.is_wanted``."""

    def start(self, key: VersionKey, size_bytes: int) -> None:
        """See ``EvictionArchiver.start``."""

    async def room(self) -> None:
        """See ``EvictionArchiver.room``."""


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
        archiver: archives latest versions instead of evicting them; ``None`` if none is.
    """

    archiver: Archiver | None = None

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
        # The chunks of versions that have left the store and are being archived.
        self._leaving: dict[VersionKey, tuple[Chunk, ...]] = {}

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
        download = TransientDownload(key, xxh3, self.open_version, self.executor.serial, select)
        if self.in_memory:
            download.open()
        return download

    def open_version(self, key: VersionKey) -> ITransientReader:
        """
        Open a version that is in the store, or that has left it and is being archived.

        Raises:
            KeyError: there is no such version.
        """
        try:
            return self.store.open_version(key)
        except KeyError:
            return _HeldReader(iter(self._leaving[key]))

    # Changing the content

    async def commit(
        self,
        writer: ITransientWriter,
        key: VersionKey,
        rank: EvictionRank,
        publication: Publication,
        lowered: Sequence[RankChange] = (),
        size_bytes: int = 0,
    ) -> None:
        """
        Keep a version, and evict what exceeds the budget.

        Args:
            lowered: the versions of the model that have lower ranks from now on.
            size_bytes: how many bytes a transient version has.
        """
        async with self._mutexes.hold(_STORE):
            touched, self._touched = self._touched, {}
            evicted = await self.executor.defer(
                lambda: self._commit(writer, key, rank, list(touched), lowered, size_bytes)
            )
            publication.kept()
            publication.evicted([key for key in evicted if key not in self._leaving])
            self._archive(evicted)

    def _archive(self, evicted: Sequence[VersionKey]) -> None:
        for key in evicted:
            chunks = self._leaving.get(key)
            if chunks is not None and self.archiver is not None:
                self.archiver.start(key, sum(chunk.size_bytes for chunk in chunks))

    def _hold_victims(self, archiver: Archiver, key: VersionKey, size_bytes: int) -> list[VersionKey]:
        victims = [each for each in IPredictableStore(self.store).victims(size_bytes) if archiver.is_wanted(each)]
        # The model that gets a version has another latest one from now on.
        victims = [each for each in victims if each.model_id != key.model_id]
        for victim in victims:
            self._leaving[victim] = tuple(iter(self.store.open_version(victim).read, None))
        return victims

    def release(self, key: VersionKey) -> None:
        """
        Drop a version that was archived, or is evicted after all.
        """
        self._leaving.pop(key, None)

    def _commit(
        self,
        writer: ITransientWriter,
        key: VersionKey,
        rank: EvictionRank,
        touched: list[VersionKey],
        lowered: Sequence[RankChange],
        size_bytes: int,
    ) -> list[VersionKey]:
        self.store.touch(touched)
        changes = [change for change in lowered if change.key not in self._pinned]
        for change in changes:
            self.store.set_rank(change.key, change.after)
        is_latest = rank is EvictionRank.LATEST
        victims = self._hold_victims(self.archiver, key, size_bytes) if self.archiver and is_latest else []
        evicted: list[VersionKey] = []
        try:
            evicted = writer.commit(key, rank)
            return evicted
        except BaseException:
            for change in changes:
                self.store.set_rank(change.key, change.before)
            raise
        finally:
            for victim in set(victims).difference(evicted):
                self.release(victim)

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
                reader = await self.executor.defer(partial(self.open_version, key))
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


@implementer(ITransientReader)
@frozen
class _HeldReader:
    """
    A reader of chunks that are held in memory.
    """

    _chunks: Iterator[Chunk]

    def read(self) -> Chunk | None:
        """See ``ITransientReader.read``."""
        return next(self._chunks, None)

    def close(self) -> None:
        """See ``ITransientReader.close``."""
