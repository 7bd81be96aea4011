"""
The transient store as the registry uses it.
"""

import math
from collections.abc import Callable
from functools import partial

from attrs import define, frozen
from twisted.internet.defer import Deferred

from twisted_registry.contracts.execution import IExecutor, INonBlocking
from twisted_registry.contracts.transient import EvictionRank, ITransientStore, ITransientWriter
from twisted_registry.domain.models import VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.downloads import TransientDownload
from twisted_registry.registry.locks import KeyedLocks
from twisted_registry.registry.log import log

_TOLD_AGAIN_SECONDS = 60.0
_COPY_SHARE = 8
_TURN = "the store"


@frozen(eq=False)
class Publication:
    """
    What the registry does once a version is in the store: publish it, and what was evicted for it.
    """

    kept: Callable[[], None]
    evicted: Callable[[list[VersionKey]], None]


@define(eq=False)
class LostLatest:
    """
    Counts the models whose latest version was evicted though it is nowhere else, and warns in the log, once a minute.

    Of each model the latest version stays before a second one of any other.  So this happens only where there are more
    models than the budget has room for, or larger ones.

    Attributes:
        count: how often it has happened.
        _seconds: gives the time, from whenever.
        _told_count: how often it had happened when the log was told last.
    """

    _seconds: Callable[[], float]
    count: int = 0
    _told_seconds: float = -math.inf
    _told_count: int = 0

    def add(self, model_ids: list[str], setting: str) -> None:
        """
        Count what was evicted for one commit.

        Args:
            model_ids: whose latest version was evicted; at least one.
            setting: the setting that would have kept them, were it higher.
        """
        self.count += len(model_ids)
        now = self._seconds()
        if now - self._told_seconds < _TOLD_AGAIN_SECONDS:
            return
        more = self.count - self._told_count - 1
        self._told_seconds, self._told_count = now, self.count
        log.warn(
            "the latest version of model {id!r} was evicted, and is nowhere else{more}: there is not room for the "
            "latest of each model; raise --{setting}",
            id=model_ids[0],
            more=f" ({more} more since this was told last)" if more else "",
            setting=setting,
        )


class Transients:
    """
    Ranks what is in the transient store.

    What changes the store waits in line, each until what came of it is published: else, with a store that blocks, one
    version's eviction could be told before its arrival.

    Attributes:
        in_memory: whether what is being written to it takes memory: what never blocks is nowhere else.
    """

    def __init__(self, store: ITransientStore, executor: IExecutor) -> None:
        self.store = store
        self.executor = executor
        self.in_memory = INonBlocking.providedBy(store)
        self._turns = KeyedLocks()
        # Any thread notes a use here, the last one at the end; the store hears of them only before it is to choose what
        # to evict.  Each version is in it once: one that is read all the time does not make others seem unused.
        self._touched: dict[VersionKey, None] = {}
        self._copying: dict[VersionKey, object] = {}

    # Copies of archived versions

    def copy_writer(self, size_bytes: int) -> ITransientWriter | None:
        """
        Give a writer for the copy of an archived version; ``None`` where it is too large a share of the budget, where
        transient versions leave it no room, or where a copy would be no faster than the archive.
        """
        if not self.in_memory or size_bytes > self.store.max_bytes // _COPY_SHARE:
            return None
        if not self.store.has_room(size_bytes, EvictionRank.COPY):
            return None
        return self.store.create_version()

    def begin_copy(self, key: VersionKey) -> bool:
        """
        Tell whether a version that is read is to be copied: by one of its readers at a time.  May be called in any
        thread.
        """
        token = object()
        return self._copying.setdefault(key, token) is token

    def end_copy(self, key: VersionKey) -> None:
        """
        A copy is made, or given up.  May be called in any thread.
        """
        self._copying.pop(key, None)

    # Reading

    def download(self, key: VersionKey, digest: str) -> TransientDownload:
        """
        Start reading a version.  May be called in any thread.

        Args:
            digest: see ``IDownload.xxh3``.

        Raises:
            UnknownVersion: it was evicted.
        """
        self._touched.pop(key, None)
        self._touched[key] = None
        download = TransientDownload(key, digest, self.store, self.executor.serial)
        if self.in_memory:
            download.open()
        return download

    # Changing what is held

    async def commit(
        self,
        writer: ITransientWriter,
        key: VersionKey,
        rank: EvictionRank,
        publication: Publication,
        superseded: VersionKey | None = None,
    ) -> None:
        """
        Keep a version, and evict what goes beyond the budget.

        Args:
            superseded: the version that is its model's latest no more.
        """
        async with self._turns.hold(_TURN):
            touched, self._touched = self._touched, {}
            evicted = await self.executor.defer(lambda: self._commit(writer, key, rank, list(touched), superseded))
            publication.kept()
            publication.evicted(evicted)

    def _commit(
        self,
        writer: ITransientWriter,
        key: VersionKey,
        rank: EvictionRank,
        touched: list[VersionKey],
        superseded: VersionKey | None,
    ) -> list[VersionKey]:
        self.store.touch(touched)
        if superseded is None:
            return writer.commit(key, rank)
        self.store.set_rank(superseded, EvictionRank.SUPERSEDED)
        try:
            return writer.commit(key, rank)
        except BaseException:
            self.store.set_rank(superseded, EvictionRank.LATEST)
            raise

    async def supersede(self, key: VersionKey) -> None:
        """
        A version is its model's latest no more.
        """
        await self._change(partial(self.store.set_rank, key, EvictionRank.SUPERSEDED))

    async def remove(self, snapshot: ModelSnapshot) -> None:
        """
        Drop all versions of a model.
        """
        await self._change(partial(self.store.remove, [snapshot.key(number) for number in snapshot.held]))

    async def _change(self, job: Callable[[], None]) -> None:
        async with self._turns.hold(_TURN):
            deferred: Deferred[None] = self.executor.defer(job)
            try:
                await deferred
            except Exception:  # what it follows has happened already, whatever the store says
                log.failure("the transient store failed")
