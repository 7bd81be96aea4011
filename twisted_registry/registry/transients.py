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
from twisted_registry.domain.quotas import Quota
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.mutexes import KeyedMutexes
from twisted_registry.registry.downloads import TransientDownload
from twisted_registry.registry.memory_shares import HeldVersion, MemoryShares
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
    evicted: Callable[[Sequence[VersionKey], bool], None]
    """The second argument is whether a quota was exceeded, rather than the store's budget."""


class Transients:
    """
    The transient store, with the ranks of its content.

    Changes of the store follow each other, each after the last one is published: otherwise, with a store that blocks,
    the eviction of a version could be published before its arrival.

    Attributes:
        in_memory: whether the store keeps its content in memory; only a store that never blocks does.
        archiver: archives latest versions instead of evicting them; ``None`` if none is.
        shares: the shares that quotas give models.
    """

    archiver: Archiver | None = None

    def __init__(self, store: ITransientStore, executor: IExecutor) -> None:
        self.store = store
        self.executor = executor
        self.in_memory = INonBlocking.providedBy(store)
        self.shares = MemoryShares()
        self._mutexes = KeyedMutexes()
        # Any thread notes uses here, the last one at the end; the store learns about them only before it evicts.  Each
        # version is in it once, so that one that is read all the time does not make the others seem unused.
        self._touched: dict[VersionKey, None] = {}
        self._copying: dict[VersionKey, object] = {}
        self._pinned: set[VersionKey] = set()
        # The chunks of versions that have left the store and are being archived.
        self._leaving: dict[VersionKey, tuple[Chunk, ...]] = {}

    # Copies of archived versions

    def copy_writer(self, model_id: str, size_bytes: int) -> ITransientWriter | None:
        """
        Return a writer for the copy of an archived version; ``None`` if it is too large a part of the budget, if
        transient versions leave it no room, or if a copy would be no faster than the archive.
        """
        if not self.in_memory or size_bytes > self.store.max_bytes // _COPY_SHARE:
            return None
        if not (self.store.has_room(size_bytes, EvictionRank.COPY) and self.shares.has_room(model_id, size_bytes)):
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
            size_bytes: how many bytes the version has.
        """
        async with self._mutexes.hold(_STORE):
            touched, self._touched = self._touched, {}
            changes = [change for change in lowered if change.key not in self._pinned]
            new = HeldVersion(rank, size_bytes)
            surplus = self._surplus(key, new, touched, changes)
            if rank is EvictionRank.COPY and key in surplus:
                writer.abort()
                return
            commit = _Commit(writer, key, rank, list(touched), changes, size_bytes, surplus)
            try:
                evicted = await self.executor.defer(partial(self._commit, commit))
            except BaseException:
                self._restore(commit, publication)
                raise
            self.shares.add(key, new)
            publication.kept()
            self._leave(surplus, publication, is_by_quota=True)
            self._leave(evicted, publication, is_by_quota=False)

    def _surplus(
        self, key: VersionKey, new: HeldVersion, touched: Iterable[VersionKey], changes: Sequence[RankChange]
    ) -> list[VersionKey]:
        """
        Return which versions a new one evicts because of quotas.
        """
        if not self.shares.quotas:
            return []
        self.shares.touch(touched)
        for change in changes:
            self.shares.set_rank(change.key, change.after)
        return self.shares.victims(key, new)

    def _restore(self, commit: "_Commit", publication: Publication) -> None:
        for change in commit.changes:
            self.shares.set_rank(change.key, change.before)
        self._leave(commit.removed, publication, is_by_quota=True)

    def _leave(self, evicted: Sequence[VersionKey], publication: Publication, *, is_by_quota: bool) -> None:
        if evicted:
            self.shares.discard(evicted)
            publication.evicted([key for key in evicted if key not in self._leaving], is_by_quota)
            self._archive(evicted)

    def _archive(self, evicted: Sequence[VersionKey]) -> None:
        for key in evicted:
            chunks = self._leaving.get(key)
            if chunks is not None and self.archiver is not None:
                self.archiver.start(key, sum(chunk.size_bytes for chunk in chunks))

    def _hold(self, key: VersionKey, victims: Sequence[VersionKey]) -> list[VersionKey]:
        """
        Hold the chunks of those that are to be archived.
        """
        archiver = self.archiver
        if archiver is None:
            return []
        # The model that gets a version has another latest one from now on.
        held = [each for each in victims if each.model_id != key.model_id and archiver.is_wanted(each)]
        for victim in held:
            self._leaving[victim] = tuple(iter(self.store.open_version(victim).read, None))
        return held

    def release(self, key: VersionKey) -> None:
        """
        Drop a version that was archived, or is evicted after all.
        """
        self._leaving.pop(key, None)

    def _commit(self, commit: "_Commit") -> list[VersionKey]:
        self.store.touch(commit.touched)
        for change in commit.changes:
            self.store.set_rank(change.key, change.after)
        victims = self._make_room(commit)
        evicted: list[VersionKey] = []
        try:
            evicted = commit.writer.commit(commit.key, commit.rank)
            if commit.is_surplus:
                self.store.remove([commit.key])
            return evicted
        except BaseException:
            for change in commit.changes:
                self.store.set_rank(change.key, change.before)
            raise
        finally:
            for victim in set(victims).difference(evicted):
                self.release(victim)

    def _make_room(self, commit: "_Commit") -> list[VersionKey]:
        """
        Evict what exceeds quotas, and hold those of the versions that the store will evict that are to be archived.
        """
        is_latest = commit.rank is EvictionRank.LATEST
        if commit.removed:
            if is_latest:
                self._hold(commit.key, commit.removed)
            self.store.remove(commit.removed)
        if self.archiver is None or not is_latest:
            return []
        return self._hold(commit.key, IPredictableStore(self.store).victims(commit.size_bytes))

    async def set_ranks(self, ranks: Iterable[tuple[VersionKey, EvictionRank]]) -> None:
        """
        Change the ranks of versions, except of those that are pinned.
        """
        for key, rank in ranks:
            if key not in self._pinned:
                await self._change_rank(key, rank)

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
            self.shares.set_rank(key, EvictionRank.PINNED)
            return reader

    async def unpin(self, key: VersionKey, rank: EvictionRank) -> None:
        """
        Let a version be evicted again.

        Args:
            rank: its rank from now on.
        """
        self._pinned.discard(key)
        await self._change_rank(key, rank)

    async def _change_rank(self, key: VersionKey, rank: EvictionRank) -> None:
        await self._change(partial(self.store.set_rank, key, rank), partial(self.shares.set_rank, key, rank))

    async def drop(self, keys: Sequence[VersionKey]) -> None:
        """
        Drop versions that were deleted.
        """
        await self._change(partial(self.store.remove, keys), partial(self.shares.discard, keys))

    async def remove(self, snapshot: ModelSnapshot) -> None:
        """
        Drop all versions of a model.
        """
        await self.drop([snapshot.key(number) for number in snapshot.held])

    async def _change(self, job: Callable[[], None], note: Callable[[], None]) -> None:
        async with self._mutexes.hold(_STORE):
            try:
                await self.executor.defer(job)
            except Exception:  # the change that this one follows has happened, whatever the store says
                _log.failure("the transient store failed")
            note()

    async def use_quotas(
        self, quotas: Sequence[Quota], held: Callable[[], Iterable[tuple[VersionKey, HeldVersion]]]
    ) -> None:
        """
        Replace the quotas of memory.

        Args:
            held: returns what is in the store, the oldest first.
        """
        async with self._mutexes.hold(_STORE):
            if list(quotas) != list(self.shares.quotas):
                in_store = (pair for pair in held() if pair[0] not in self._leaving)
                self.shares.replace(
                    quotas,
                    (
                        (key, HeldVersion(EvictionRank.PINNED, version.size_bytes) if key in self._pinned else version)
                        for key, version in in_store
                    ),
                )


@frozen(eq=False)
class _Commit:
    """
    A commit of a version to the store.

    Attributes:
        changes: changes of ranks that come with it.
        surplus: the versions that it evicts because of quotas, perhaps itself.
    """

    writer: ITransientWriter
    key: VersionKey
    rank: EvictionRank
    touched: Sequence[VersionKey]
    changes: Sequence[RankChange]
    size_bytes: int
    surplus: Sequence[VersionKey]

    @property
    def is_surplus(self) -> bool:
        """
        True if it evicts itself.
        """
        return self.key in self.surplus

    @property
    def removed(self) -> Sequence[VersionKey]:
        """
        The others that it evicts.
        """
        return [key for key in self.surplus if key != self.key]


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
