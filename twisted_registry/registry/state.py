"""
What the parts of the registry share.
"""

from collections.abc import Iterable

from attrs import field, frozen

from twisted_registry.contracts.execution import IExecutor
from twisted_registry.contracts.registry import IObserver
from twisted_registry.domain.errors import CorruptVersion
from twisted_registry.domain.models import ModelInfo, VersionInfo, VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.downloads import Digests, Framing
from twisted_registry.registry.index import Index
from twisted_registry.registry.info_cache import InfoCache
from twisted_registry.registry.locks import KeyedLocks
from twisted_registry.registry.log import log
from twisted_registry.registry.lost_models import LossDetectingArchive
from twisted_registry.registry.model import Model
from twisted_registry.registry.transients import LostLatest, Transients

_INFO_CACHE_BYTES = 16 * 1024 * 1024
_DIGEST_CACHE_BYTES = 4 * 1024 * 1024
_DIGEST_BYTES = 80
_DIGESTS_BYTES = 500
"""About what one digest takes in memory, and those of a version beside that."""


@frozen(eq=False)
class State:
    """
    The stores, and what is known of what they hold.

    Attributes:
        executor: where the archive's calls run.
        lost_latest: counts the models whose latest version was evicted.
        digests: of archived versions whose hash has matched in this process.
        damaged: versions whose damage the log has told of.
        locks: held by whoever reads or changes a model's metadata, or commits a version, by the model's id.
        writes: held, inside of that or alone, while the archive is told to change the model: one change at a time.
    """

    archive: LossDetectingArchive
    executor: IExecutor
    transients: Transients
    framing: Framing
    lost_latest: LostLatest
    index: Index = field(factory=Index)
    locks: KeyedLocks = field(factory=KeyedLocks)
    writes: KeyedLocks = field(factory=KeyedLocks)
    surveys: KeyedLocks = field(factory=KeyedLocks)
    model_infos: InfoCache[str, ModelInfo] = field(factory=lambda: InfoCache(_INFO_CACHE_BYTES))
    version_infos: InfoCache[VersionKey, VersionInfo] = field(factory=lambda: InfoCache(_INFO_CACHE_BYTES))
    digests: InfoCache[VersionKey, Digests] = field(factory=lambda: InfoCache(_DIGEST_CACHE_BYTES))
    damaged: set[VersionKey] = field(factory=set)
    observers: list[IObserver] = field(factory=list)

    def current(self, model_id: str, incarnation: int) -> Model | None:
        """
        Give a model, if it is there, is the same one still, and is not being deleted.  May be called in any thread.
        """
        model = self.index.find(model_id)
        if model is None or model.incarnation != incarnation or model.going:
            return None
        return model

    def changed(self, model_id: str) -> None:
        """
        Tell all observers.
        """
        for observer in self.observers:
            observer.changed(model_id)

    def evict(self, keys: Iterable[VersionKey]) -> None:
        """
        Publish that versions left the transient store.
        """
        lost, size_bytes = [], 0
        for key in keys:
            # Also of a model that is being deleted: that may yet fail.
            model = self.index.find(key.model_id)
            if model is not None and model.incarnation == key.incarnation:
                if model.is_latest_transient(key.version_number):
                    lost.append(key.model_id)
                size_bytes += model.evict(key.version_number)
        if lost:
            store = self.transients.store
            were_bytes = store.usage().size_bytes + size_bytes > store.max_bytes
            self.lost_latest.add(lost, f"version-cache-max-{'bytes' if were_bytes else 'items'}")

    def note_damage(self, key: VersionKey, error: CorruptVersion) -> None:
        """
        Tell the log of a damaged version, once.
        """
        # What was known of it is looked up again: lists pass it over, where that shows what is wrong.
        self.digests.discard(key)
        self.version_infos.discard(key)
        model = self.current(key.model_id, key.incarnation)
        if model is not None:
            model.forget_info(key.version_number)
        if key not in self.damaged:
            self.damaged.add(key)
            log.error("damage on the archive: {error}", error=error)

    def note_digests(self, key: VersionKey, digests: Digests) -> None:
        """
        Keep the digests of a version whose hash has matched.
        """
        self.digests.add(key, digests, _DIGESTS_BYTES + _DIGEST_BYTES * len(digests.chunks))

    def lose(self, model: Model) -> ModelSnapshot | None:
        """
        Drop all that is known of a model that the archive has lost, but for its numbers: it may be restored.

        Returns:
            the snapshot it had.
        """
        self.index.mark(model, whole=False)
        self.model_infos.discard(model.model_id)
        snapshot, model.snapshot = model.snapshot, None
        return snapshot

    def forget(self, model: Model) -> None:
        """
        Drop all that is known of a model that was deleted.
        """
        self.index.remove(model)
        self.model_infos.discard(model.model_id)
        self.damaged.difference_update([key for key in self.damaged if key.incarnation == model.incarnation])
