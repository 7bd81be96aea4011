"""
The state that the parts of the registry share.
"""

from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from operator import itemgetter
from typing import Generic, Literal, TypeVar

from attrs import field, frozen
from twisted.logger import Logger

from twisted_registry.contracts.coordination import ICoordination
from twisted_registry.contracts.execution import IExecutor
from twisted_registry.contracts.transient import EvictionRank, ITransientWriter
from twisted_registry.domain.aliases import aliases_of
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import (
    ArchiveMoved,
    CorruptAnnotations,
    CorruptVersion,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    UnknownModel,
    UnsupportedByArchive,
)
from twisted_registry.domain.events import ModelDeleted, Operation, Rank, StorageFailed, VersionEvicted
from twisted_registry.domain.models import ModelInfo, VersionInfo, VersionKey
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.mutexes import KeyedMutexes
from twisted_registry.registry.alias_requests import AliasRequests
from twisted_registry.registry.archive_usage import ArchiveUsage
from twisted_registry.registry.downloads import Framing, VersionXxh3
from twisted_registry.registry.lost_models import LossDetectingArchive, LostModel
from twisted_registry.registry.memory_shares import HeldVersion
from twisted_registry.registry.models import Model, ModelIndex
from twisted_registry.registry.ranks import RankRules
from twisted_registry.registry.transients import Publication, Transients

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_log = Logger(namespace="twisted_registry.registry")

_INFO_BYTES = 1000
"""The approximate memory for an info, without its metadata."""

_INFO_CACHE_BYTES = 16 * 1024 * 1024
_XXH3_CACHE_BYTES = 4 * 1024 * 1024
_CHUNK_XXH3_BYTES = 80
_XXH3S_BYTES = 500
"""The approximate memory for the XXH3 of one chunk, and for the list of a version's."""


_RANKS: Mapping[EvictionRank | None, Rank] = {EvictionRank.LATEST: "latest", EvictionRank.RECENT: "recent"}


def info_size_bytes(metadata: Mapping[str, str]) -> int:
    """
    Estimate the memory for an info with certain metadata.
    """
    return _INFO_BYTES + sum(100 + len(key) + len(value) for key, value in metadata.items())


def annotations_size_bytes(annotations: Annotations) -> int:
    """
    Estimate the memory for the labels and metrics of a version.
    """
    return info_size_bytes(annotations.labels) + sum(150 + len(key) for key in annotations.metrics)


class InfoCache(Generic[K, V]):
    """
    A cache within a budget of bytes; the oldest entries go first.

    Written in the reactor's thread, read in any thread: a single look-up in a dict is atomic.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._held: dict[K, tuple[V, int]] = {}

    def peek(self, key: K) -> V | None:
        """
        Return an entry, if it exists.  May be called in any thread.
        """
        held = self._held.get(key)
        return None if held is None else held[0]

    def add(self, key: K, info: V, size_bytes: int) -> None:
        """
        Add an entry, or replace an older one.
        """
        self.discard(key)
        self._held[key] = (info, size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > self._max_bytes:
            self.discard(next(iter(self._held)))

    def discard(self, key: K) -> None:
        """
        Remove an entry, if it exists.
        """
        _, size_bytes = self._held.pop(key, (None, 0))
        self._size_bytes -= size_bytes


@frozen(eq=False)
class State:
    """
    The stores, and the cached facts about their content.

    Attributes:
        executor: runs the archive's calls.
        coordination: decides about numbers and ownership, and publishes events.
        surveys: held while all models are read.
        ranks: the rules for the ranks of transient versions.
        alias_requests: the requests for moves of aliases.
        xxh3: the XXH3 of archived versions whose SHA-256 has matched in this process.
        damaged: the versions whose damage has been logged.
        usage: what models have in the archive, for quotas.
    """

    archive: LossDetectingArchive
    executor: IExecutor
    transients: Transients
    framing: Framing
    coordination: ICoordination
    index: ModelIndex
    ranks: RankRules
    alias_requests: AliasRequests
    surveys: KeyedMutexes = field(factory=KeyedMutexes)
    model_infos: InfoCache[str, ModelInfo] = field(factory=lambda: InfoCache(_INFO_CACHE_BYTES))
    version_infos: InfoCache[VersionKey, VersionInfo] = field(factory=lambda: InfoCache(_INFO_CACHE_BYTES))
    archived_annotations: InfoCache[VersionKey, Annotations] = field(factory=lambda: InfoCache(_INFO_CACHE_BYTES))
    xxh3: InfoCache[VersionKey, VersionXxh3] = field(factory=lambda: InfoCache(_XXH3_CACHE_BYTES))
    damaged: set[VersionKey] = field(factory=set)
    usage: ArchiveUsage = field(factory=ArchiveUsage)

    def current(self, model_id: str, incarnation: int) -> Model | None:
        """
        Return a model, if it exists, is still the same one and is not being deleted.  May be called in any thread.
        """
        model = self.index.find(model_id)
        if model is None or model.incarnation != incarnation or model.is_deleting:
            return None
        return model

    def model(self, snapshot: ModelSnapshot) -> Model:
        """
        Return the model of a snapshot.

        Raises:
            UnknownModel: it was deleted.
            LostModel: the archive has lost it.
        """
        model = self.current(snapshot.model_id, snapshot.incarnation)
        if model is None:
            raise UnknownModel(snapshot.model_id)
        if model.snapshot is None:
            raise LostModel(model.model_id)
        return model

    async def settle(self, model_id: str) -> bool:
        """
        Wait until a deletion that is under way has ended, of a model or of versions of it.

        Until then memory still has what the archive may have lost, and the deletion may fail.  An answer that it is
        gone must wait, so that no later answer contradicts it.  The deletion itself must not call this.

        Args:
            model_id: the model's id.

        Returns:
            Whether there was such a deletion.
        """
        model = self.index.find(model_id)
        if model is None or not (model.is_deleting or model.deleting):
            return False
        async with self.coordination.exclusive(model_id):
            return True

    def check_lifecycle(self) -> None:
        """
        Check that the archive can change versions after their creation.

        Raises:
            UnsupportedByArchive: it cannot.
        """
        if not self.archive.has_lifecycle:
            raise UnsupportedByArchive(
                f"the archive {self.archive.description} cannot change a version after its creation"
            )

    def version_info(self, snapshot: ModelSnapshot, version_number: int) -> VersionInfo | None:
        """
        See ``ISnapshots.version_info``.
        """
        latest = snapshot.latest
        if latest is not None and latest.version_number == version_number:
            return latest
        held = snapshot.held.get(version_number)
        return held or self.version_infos.peek(snapshot.key(version_number))

    def annotations(self, snapshot: ModelSnapshot, version_number: int) -> Annotations | None:
        """
        Return the labels and metrics of a version; ``None`` if they are not in memory.  May be called in any thread.
        """
        if snapshot.numbers.is_transient(version_number):
            return snapshot.annotated.get(version_number, NO_ANNOTATIONS)
        return self.archived_annotations.peek(snapshot.key(version_number))

    def version_record(self, snapshot: ModelSnapshot, version_number: int) -> VersionRecord | None:
        """
        See ``ISnapshots.version_record``.
        """
        info = self.version_info(snapshot, version_number)
        annotations = self.annotations(snapshot, version_number)
        if info is None or annotations is None:
            return None
        return VersionRecord(info, annotations, aliases_of(snapshot.aliases, version_number))

    def add_annotations(self, key: VersionKey, annotations: Annotations) -> None:
        """
        Keep the labels and metrics of an archived version for those who ask next.
        """
        self.archived_annotations.add(key, annotations, annotations_size_bytes(annotations))

    def forget_version(self, key: VersionKey) -> None:
        """
        Drop everything known about a version that was deleted.
        """
        self.version_infos.discard(key)
        self.archived_annotations.discard(key)
        self.xxh3.discard(key)
        self.damaged.discard(key)

    def add_version_info(self, key: VersionKey, info: VersionInfo) -> None:
        """
        Keep the info of an archived version for those who ask next.
        """
        self.version_infos.add(key, info, info_size_bytes(info.metadata))

    def evict(self, keys: Iterable[VersionKey], is_by_quota: bool = False) -> None:
        """
        Publish that versions have left the transient store.

        Args:
            is_by_quota: whether a quota was exceeded, rather than the store's budget.
        """
        gone, size_bytes = [], 0
        for key in keys:
            # This includes a model that is being deleted: the deletion may still fail.
            model = self.index.find(key.model_id)
            if model is None or model.incarnation != key.incarnation:
                continue
            snapshot = model.snapshot
            rank = None if snapshot is None else self.ranks.rank(snapshot.numbers, key.version_number)
            info = model.evict(key.version_number)
            if info is not None:
                size_bytes += info.size_bytes
                if not info.archived:
                    gone.append((key, info.size_bytes, _RANKS.get(rank, "superseded")))
        if gone:
            store = self.transients.store
            is_too_large = store.usage().size_bytes + size_bytes > store.max_bytes
            exceeded: Literal["bytes", "items", "quota"] = "bytes" if is_too_large else "items"
            for event in gone:
                self.coordination.publish(VersionEvicted(*event, "quota" if is_by_quota else exceeded))

    def held_versions(self) -> Iterable[tuple[VersionKey, HeldVersion]]:
        """
        Return what is in the transient store, the oldest first.
        """
        held = []
        for model in self.index.models():
            if (snapshot := model.snapshot) is not None:
                for number, info in snapshot.held.items():
                    version = HeldVersion(self.ranks.rank(snapshot.numbers, number), info.size_bytes)
                    held.append((info.created_ns, snapshot.key(number), version))
        return ((key, version) for _, key, version in sorted(held, key=itemgetter(0)))

    async def keep_copy(self, key: VersionKey, info: VersionInfo, writer: ITransientWriter) -> None:
        """
        Keep the copy of an archived version, unless there is one or the model is gone.  Never fails: the version does
        not depend on its copy.
        """
        model = self.current(key.model_id, key.incarnation)
        if model is None or model.snapshot is None or key.version_number in model.snapshot.held:
            writer.abort()
            return
        publication = Publication(partial(model.hold_copy, info), self.evict)
        try:
            await self.transients.commit(writer, key, EvictionRank.COPY, publication, size_bytes=info.size_bytes)
        except Exception:  # whatever the store says, the version itself is on the archive
            _log.failure("no copy of {key} is kept", key=key)

    def publish_failure(
        self,
        operation: Operation,
        model_id: str,
        error: BaseException,
    ) -> None:
        """
        Publish that a change failed, if the reason is the medium.
        """
        if isinstance(error, ArchiveMoved | StorageFull | StorageReadOnly | StorageFailure):
            self.coordination.publish(StorageFailed(operation, model_id, error))

    def may_be_gone(self, key: VersionKey) -> bool:
        """
        Return whether a version is being deleted, or does not exist.  May be called in any thread.
        """
        model = self.current(key.model_id, key.incarnation)
        return model is None or model.may_be_gone(key.version_number)

    def note_damage(self, key: VersionKey, error: CorruptVersion) -> None:
        """
        Log a damaged version, once.
        """
        # Its info is read again: lists skip the version, if that shows the damage.
        self.xxh3.discard(key)
        self.version_infos.discard(key)
        model = self.current(key.model_id, key.incarnation)
        if model is not None:
            model.forget_info(key.version_number)
        if key not in self.damaged:
            self.damaged.add(key)
            _log.error("damage in the archive: {error}; run 'twisted-registry archive verify'", error=error)

    def note_corrupt_annotations(self, key: VersionKey, error: CorruptAnnotations) -> None:
        """
        Log damaged labels and metrics, once.
        """
        if key not in self.damaged:
            self.damaged.add(key)
            _log.error("damage in the archive: {error}; run 'twisted-registry archive verify'", error=error)

    def note_xxh3(self, key: VersionKey, xxh3: VersionXxh3) -> None:
        """
        Keep the XXH3 of a version whose SHA-256 has matched.
        """
        self.xxh3.add(key, xxh3, _XXH3S_BYTES + _CHUNK_XXH3_BYTES * len(xxh3.chunks))

    def lose(self, model: Model) -> ModelSnapshot | None:
        """
        Drop everything known about a model that the archive has lost, except its numbers: the model may be restored.

        Returns:
            the snapshot it had.
        """
        self.index.mark(model, is_whole=False)
        self.model_infos.discard(model.model_id)
        snapshot, model.snapshot, model.are_keys_loaded = model.snapshot, None, False
        model.was_found = True  # if it comes back, its files may be from before
        model.search = None
        self.coordination.publish(ModelDeleted(model.model_id, model.incarnation, is_lost=True))
        return snapshot

    def forget(self, model: Model) -> None:
        """
        Drop everything known about a model that was deleted.
        """
        self.index.remove(model)
        model.search = None
        self.model_infos.discard(model.model_id)
        self.damaged.difference_update([key for key in self.damaged if key.incarnation == model.incarnation])
