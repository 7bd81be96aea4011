"""
The registry itself.
"""

import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_registry.contracts.coordination import ICoordination, INumberSequence, Listener
from twisted_registry.contracts.execution import IExecutor, ISerialExecutor
from twisted_registry.contracts.ownership import ILocatedArchive
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.contracts.transfers import IDownload
from twisted_registry.contracts.transient import IPredictableStore, ITransientStore, Usage
from twisted_registry.contracts.unfinished import UnfinishedUpload
from twisted_registry.domain.aliases import AliasChange, AliasMove, AliasRequest
from twisted_registry.domain.annotations import AnnotationUpdate
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails
from twisted_registry.domain.errors import (
    CannotStart,
    CorruptModel,
    StorageFailure,
    UnknownModel,
    UnknownVersion,
    Unreadable,
)
from twisted_registry.domain.events import Event
from twisted_registry.domain.idempotency import key_sha256
from twisted_registry.domain.models import ModelInfo, VersionHeader, VersionInfo
from twisted_registry.domain.query import Order
from twisted_registry.domain.quotas import Quota
from twisted_registry.domain.ranges import ByteRange
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.domain.version_index import VersionIndex
from twisted_registry.registry.alias_requests import AliasRequests
from twisted_registry.registry.aliases import AliasChanges
from twisted_registry.registry.annotations import VersionAnnotations
from twisted_registry.registry.archive_counting import ArchiveCounting
from twisted_registry.registry.background_acts import BackgroundActs
from twisted_registry.registry.changes import ModelChanges
from twisted_registry.registry.commits import Committer
from twisted_registry.registry.deletion import VersionDeletion
from twisted_registry.registry.downloads import Framing
from twisted_registry.registry.event_log import EvictionLog
from twisted_registry.registry.eviction_archiver import EvictionArchiver
from twisted_registry.registry.idempotency import CreationKeys
from twisted_registry.registry.loading import Loader
from twisted_registry.registry.lost_models import LossDetectingArchive
from twisted_registry.registry.models import Model, ModelIndex
from twisted_registry.registry.promotion import Promoter
from twisted_registry.registry.pruning import Pruner
from twisted_registry.registry.quotas import StorageQuotas
from twisted_registry.registry.ranks import RankRules
from twisted_registry.registry.removals import BackgroundRemoval
from twisted_registry.registry.retention import Retention
from twisted_registry.registry.searches import MAX_INDEX_BYTES, Heap, Searches
from twisted_registry.registry.state import State
from twisted_registry.registry.transfers import Transfers
from twisted_registry.registry.transients import Transients
from twisted_registry.registry.uploads import Upload

T = TypeVar("T")

_SMALL_VERSIONS = 100
"""A model with no more versions is removed completely before its deletion is answered."""

_log = Logger(namespace="twisted_registry.registry")


@implementer(IRegistry)
class Registry:
    """
    The policy over an archive and a transient store.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        archive: ILocatedArchive,
        archive_executor: IExecutor,
        store: ITransientStore,
        store_executor: IExecutor,
        framing: Framing,
        coordination: ICoordination,
        now_ns: Callable[[], int] = time.time_ns,
        seconds: Callable[[], float] = time.monotonic,
        checking_executor: IExecutor | None = None,
        search_executor: IExecutor | None = None,
        max_index_bytes: int = MAX_INDEX_BYTES,
        heap: Heap | None = None,
        keep_per_model: int = 1,
        archive_evicted_latest: bool = False,
        clock: IReactorTime | None = None,
        background_acts: BackgroundActs | None = None,
    ) -> None:
        """

        Args:
            archive_executor: runs the archive's calls.
            store_executor: runs the transient store's calls.
            coordination: decides about numbers and ownership, and publishes events.
            now_ns: returns the time in nanoseconds since the Unix epoch.
            seconds: returns the time in seconds from any fixed point.
            checking_executor: runs the periodic checks of the archive, which must not wait until all threads of a slow
                disk are free; ``None`` for ``archive_executor``.
            search_executor: runs the work of searches, which keeps the processor busy; ``None`` for
                ``archive_executor``.
            max_index_bytes: the approximate memory for the indexes of searches.
            heap: what is done about the garbage collector when an index is made; ``None`` for nothing.
            keep_per_model: see ``RankRules``.
            archive_evicted_latest: whether a model's latest version is archived instead of being evicted.
            clock: schedules the pauses of the removal of deleted files; ``None`` for no pauses.
            background_acts: called after changes that no client asked for; ``None`` for nothing.
        """
        acts = background_acts or BackgroundActs()
        detecting = LossDetectingArchive(
            archive, self._current, lambda model: reactor.callFromThread(self._lose, model)
        )
        transients = Transients(store, store_executor)
        ranks = RankRules(keep_per_model)
        index = ModelIndex(coordination)
        requests = AliasRequests(now_ns)
        self._state = State(detecting, archive_executor, transients, framing, coordination, index, ranks, requests)
        self._loader = Loader(self._state, lambda model_id: self._counting.loaded(model_id))  # noqa: PLW0108
        self._counting = ArchiveCounting(self._state, self._loader, self._run, seconds)
        self._counting.follow(coordination)
        self._quotas = StorageQuotas(self._state, self._counting, self._run)
        self._keys = CreationKeys(self._state, self._loader, now_ns, self._run)
        self._committer = Committer(self._state, self._keys, now_ns, self._counting.start)
        self._changes = ModelChanges(self._state, self._loader)
        self._removal = BackgroundRemoval(detecting, archive_executor, seconds, clock)
        self._promoter = Promoter(self._state, self._loader, self._keys, self._counting.wait)
        if archive_evicted_latest:
            transients.archiver = EvictionArchiver(self._state, self._promoter, self._run, acts.archived)
        self._annotations = VersionAnnotations(self._state, self._loader)
        self._aliases = AliasChanges(self._state, self._promoter, now_ns)
        self._deletion = VersionDeletion(self._state)
        self._searches = Searches(
            self._state, search_executor or archive_executor, seconds, max_index_bytes, heap or Heap()
        )
        self.retention = Retention(
            self._state,
            self._loader,
            Pruner(self._state, self._deletion),
            self._run,
            now_ns,
            seconds,
            lambda: self._removal.is_running,
            acts.deleted,
        )
        self._evictions = EvictionLog(seconds)
        self._evictions.follow(coordination)
        self._transfers = Transfers(reactor, self._state, self._run, self._commit)
        self._checking_executor = checking_executor or archive_executor
        self._pending: set[Deferred[Any]] = set()

    # Start and stop

    def open(self) -> None:
        """See ``IRegistry.open``."""
        self._check_archiver()
        self._state.archive.open()
        try:
            model_ids = self._state.archive.model_ids()
        except StorageFailure as error:
            self._state.archive.close()
            raise CannotStart(f"the archive's models cannot be listed: {error.reason}") from error
        for model_id in model_ids:
            self._state.index.add(model_id).was_found = True
        self._quotas.open()
        _log.info(
            "models in the archive {archive}: {count}",
            archive=self._state.archive.description,
            count=len(model_ids),
        )

    def use_quotas(self, quotas: Sequence[Quota]) -> None:
        """See ``IRegistry.use_quotas``."""
        self._quotas.use(quotas)

    def _check_archiver(self) -> None:
        transients, archive = self._state.transients, self._state.archive
        if transients.archiver is None:
            return
        if not (transients.in_memory and IPredictableStore.providedBy(transients.store)):
            raise CannotStart("--archive-evicted-latest needs --transient memory; leave one of them out")
        if not archive.has_lifecycle:
            raise CannotStart(
                f"the archive {archive.description} cannot take a version after its creation; leave out "
                "--archive-evicted-latest"
            )

    def close(self) -> Deferred[None]:
        """See ``IRegistry.close``."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        self._removal.stop()
        self._searches.stop()
        self._counting.stop()
        self.retention.stop()
        while self._pending:
            await DeferredList(list(self._pending), consumeErrors=True)
        # All at once: each waits for the disk, which serves many as fast as a few.
        releases = [Deferred.fromCoroutine(_release(model.sequence)) for model in self._state.index.models()]
        await gatherResults(releases, consumeErrors=True)
        await self._state.executor.defer(self._state.archive.close)

    def subscribe(self, listener: Listener, *kinds: type[Event]) -> None:
        """See ``IRegistry.subscribe``."""
        self._state.coordination.subscribe(listener, *kinds)

    def unsubscribe(self, listener: Listener) -> None:
        """See ``IRegistry.unsubscribe``."""
        self._state.coordination.unsubscribe(listener)

    def _run(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        deferred = Deferred.fromCoroutine(coroutine)
        self._pending.add(deferred)

        def done(result: T | Failure) -> T | Failure:
            self._pending.discard(deferred)
            return result

        deferred.addErrback(self._settle)
        return deferred.addBoth(done)

    def _settle(self, failure: Failure) -> "Failure | Deferred[Failure]":
        error = failure.value
        if not isinstance(error, UnknownModel | UnknownVersion):
            return failure
        return Deferred.fromCoroutine(self._settled(failure, error.model_id))

    async def _settled(self, failure: Failure, model_id: str) -> Failure:
        await self._state.settle(model_id)
        return failure

    # Called in any thread

    def snapshot(self, model_id: str) -> ModelSnapshot | None:
        """See ``ISnapshots.snapshot``."""
        return self._state.index.get(model_id).snapshot

    def version_info(self, snapshot: ModelSnapshot, version_number: int) -> VersionInfo | None:
        """See ``ISnapshots.version_info``."""
        return self._state.version_info(snapshot, version_number)

    def version_record(self, snapshot: ModelSnapshot, version_number: int) -> VersionRecord | None:
        """See ``ISnapshots.version_record``."""
        return self._state.version_record(snapshot, version_number)

    def model_info(self, model_id: str) -> ModelInfo | None:
        """See ``ISnapshots.model_info``."""
        self._state.index.get(model_id)
        return self._state.model_infos.peek(model_id)

    def model_ids(self) -> tuple[str, ...] | None:
        """See ``ISnapshots.model_ids``."""
        return self._state.index.listed

    def usage(self) -> Usage:
        """See ``ISnapshots.usage``."""
        return self._state.transients.store.usage()

    def went_back(self, model_id: str, seen: int) -> bool:
        """See ``ISnapshots.went_back``."""
        return self._state.index.get(model_id).went_back(seen)

    def model_count(self) -> int:
        """See ``ISnapshots.model_count``."""
        return len(self._state.index)

    def search_index_bytes(self) -> int:
        """See ``ISnapshots.search_index_bytes``."""
        return self._searches.size_bytes

    def evicted_latest(self) -> int:
        """See ``ISnapshots.evicted_latest``."""
        return self._evictions.count

    def created(self, header: VersionHeader, snapshot: ModelSnapshot, idempotency_key: str) -> VersionInfo | None:
        """See ``ISnapshots.created``."""
        return self._keys.created(header, snapshot, key_sha256(idempotency_key))

    def may_be_created(self, snapshot: ModelSnapshot, idempotency_key: str) -> bool:
        """See ``ISnapshots.may_be_created``."""
        return self._keys.may_be_created(snapshot, key_sha256(idempotency_key))

    def keeps_archived_keys(self) -> bool:
        """See ``ISnapshots.keeps_archived_keys``."""
        return self._state.archive.is_keyed

    def upload(
        self,
        header: VersionHeader,
        snapshot: ModelSnapshot,
        idempotency_key: str = "",
        details: CreationDetails = NO_DETAILS,
        is_resumable: bool = False,
    ) -> Upload:
        """See ``ISnapshots.upload``."""
        key = key_sha256(idempotency_key) if idempotency_key else ""
        return self._transfers.upload(header, snapshot, key, details, is_resumable)

    def resume_upload(
        self,
        header: VersionHeader,
        snapshot: ModelSnapshot,
        idempotency_key: str,
        details: CreationDetails,
        unfinished: UnfinishedUpload,
    ) -> Upload:
        """See ``ISnapshots.resume_upload``."""
        return self._transfers.resume(header, snapshot, key_sha256(idempotency_key), details, unfinished)

    def _commit(self, upload: Upload) -> Deferred[VersionInfo]:
        return self._run(self._committer.commit(upload))

    def download(self, snapshot: ModelSnapshot, info: VersionInfo) -> IDownload:
        """See ``ISnapshots.download``."""
        return self._transfers.download(snapshot, info)

    def download_range(self, snapshot: ModelSnapshot, info: VersionInfo, part: ByteRange) -> IDownload:
        """See ``ISnapshots.download_range``."""
        return self._transfers.download_range(snapshot, info, part)

    def version_index(self, snapshot: ModelSnapshot, order: Order) -> VersionIndex | None:
        """See ``ISearches.version_index``."""
        return self._searches.find(snapshot, order)

    def index_progress(self, snapshot: ModelSnapshot) -> tuple[int, int]:
        """See ``ISearches.index_progress``."""
        return self._searches.progress(snapshot)

    def search_executor(self) -> ISerialExecutor:
        """See ``ISearches.search_executor``."""
        return self._searches.serial()

    # Called in the reactor's thread

    def load_version_index(self, snapshot: ModelSnapshot, order: Order) -> Deferred[VersionIndex]:
        """See ``ISearches.load_version_index``."""
        return self._run(self._searches.load(snapshot, order))

    def load_snapshot(self, model_id: str) -> Deferred[ModelSnapshot]:
        """See ``IRegistry.load_snapshot``."""
        return self._run(self._loader.snapshot(model_id))

    def find_created(
        self, header: VersionHeader, snapshot: ModelSnapshot, idempotency_key: str
    ) -> Deferred[VersionInfo | None]:
        """See ``IRegistry.find_created``."""
        return self._run(self._committer.find_created(header, snapshot, key_sha256(idempotency_key)))

    def find_version_with_key(self, snapshot: ModelSnapshot, idempotency_key: str) -> Deferred[VersionInfo | None]:
        """See ``IRegistry.find_version_with_key``."""
        return self._run(self._committer.find_version_with_key(snapshot, key_sha256(idempotency_key)))

    def find_unfinished(self, snapshot: ModelSnapshot, idempotency_key: str) -> Deferred[UnfinishedUpload | None]:
        """See ``IRegistry.find_unfinished``."""
        archive, key = self._state.archive, key_sha256(idempotency_key)
        return self._run(self._in_archive(partial(archive.find_unfinished, snapshot.model_id, key)))

    async def _in_archive(self, job: Callable[[], T]) -> T:
        return await self._state.executor.defer(job)

    def load_version_infos(
        self, snapshot: ModelSnapshot, version_numbers: Sequence[int]
    ) -> Deferred[list[VersionInfo | Unreadable]]:
        """See ``IRegistry.load_version_infos``."""
        return self._run(self._loader.version_infos(snapshot, version_numbers))

    def load_model_infos(self, model_ids: Sequence[str]) -> Deferred[list[ModelInfo | CorruptModel | UnknownModel]]:
        """See ``IRegistry.load_model_infos``."""
        return self._run(self._loader.model_infos(model_ids))

    def survey(self) -> Deferred[tuple[str, ...]]:
        """See ``IRegistry.survey``."""
        return self._run(self._loader.survey())

    def check_archive(self) -> Deferred[None]:
        """See ``IRegistry.check_archive``."""
        return self._run(self._check_archive())

    async def _check_archive(self) -> None:
        archive = self._state.archive
        models = {
            model.model_id: model for model in self._state.index.models() if not (model.is_damaged or model.is_deleting)
        }
        await self._checking_executor.defer(archive.check)
        for model_id in await self._checking_executor.defer(lambda: archive.missing(list(models))):
            self._lose(models[model_id])
        self._run(self._removal.run())

    def _current(self, model_id: str) -> Model | None:
        model = self._state.index.find(model_id)
        return None if model is None or model.is_deleting else model

    def _lose(self, model: Model) -> None:
        self._run(self._changes.lose(model))

    def note_seen(self, snapshot: ModelSnapshot, version_number: int) -> Deferred[None]:
        """See ``IRegistry.note_seen``."""
        return self._run(self._changes.note_seen(snapshot, version_number))

    def save_model(self, info: ModelInfo) -> Deferred[None]:
        """See ``IRegistry.save_model``."""
        return self._run(self._changes.save(info))

    def edit_model(self, model_id: str, edit: Callable[[ModelInfo | None], ModelInfo]) -> Deferred[ModelInfo]:
        """See ``IRegistry.edit_model``."""
        return self._run(self._changes.edit(model_id, edit))

    def delete_model(self, model_id: str, check: Callable[[ModelInfo], None] | None = None) -> Deferred[None]:
        """See ``IRegistry.delete_model``."""
        return self._run(self._delete_model(model_id, check))

    async def _delete_model(self, model_id: str, check: Callable[[ModelInfo], None] | None) -> None:
        deleted = await self._changes.delete(model_id, check)
        # To list the folder of a large model takes as long as to remove a small one.
        if deleted is not None and len(deleted.numbers) <= _SMALL_VERSIONS:
            await self._removal.begin()
        self._run(self._removal.run())

    def archive_version(self, snapshot: ModelSnapshot, version_number: int) -> Deferred[VersionInfo]:
        """See ``IVersionChanges.archive_version``."""
        return self._run(self._promoter.archive(snapshot, version_number))

    def delete_version(self, snapshot: ModelSnapshot, version_number: int) -> Deferred[None]:
        """See ``IVersionChanges.delete_version``."""
        return self._run(self._deletion.delete(snapshot, version_number))

    def annotate_version(
        self, snapshot: ModelSnapshot, version_number: int, update: AnnotationUpdate
    ) -> Deferred[VersionRecord]:
        """See ``IVersionChanges.annotate_version``."""
        return self._run(self._annotations.update(snapshot, version_number, update))

    def load_version_records(
        self, snapshot: ModelSnapshot, version_numbers: Sequence[int]
    ) -> Deferred[list[VersionRecord | Unreadable]]:
        """See ``IVersionChanges.load_version_records``."""
        return self._run(self._annotations.records(snapshot, version_numbers))

    def move_alias(self, snapshot: ModelSnapshot, change: AliasChange) -> Deferred[AliasMove]:
        """See ``IVersionChanges.move_alias``."""
        return self._run(self._aliases.move(snapshot, change))

    def find_alias_move(self, snapshot: ModelSnapshot, request: AliasRequest) -> AliasMove | None:
        """See ``ISnapshots.find_alias_move``."""
        return self._state.alias_requests.find(snapshot.incarnation, request)

    def alias_moves(
        self, snapshot: ModelSnapshot, alias: str | None = None, before: int | None = None, limit: int | None = None
    ) -> Deferred[Sequence[AliasMove]]:
        """See ``IVersionChanges.alias_moves``."""
        return self._run(self._aliases.moves(snapshot, alias, before, limit))


async def _release(sequence: INumberSequence) -> None:
    await sequence.release()
