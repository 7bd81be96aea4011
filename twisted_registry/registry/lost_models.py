"""
Models that the registry knows and that the archive has lost.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import define
from zope.interface import implementer

from twisted_registry.contracts.archive import IVersionBatches
from twisted_registry.contracts.idempotency import IKeyedArchive, IKeyedArchiveWriter, StoredKey
from twisted_registry.contracts.lifecycle import IDeferredRemovals, ILifecycleArchive, ILifecycleWriter
from twisted_registry.contracts.ownership import ILocatedArchive
from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter, ISizedWriter
from twisted_registry.contracts.unfinished import IResumableArchive, IResumableWriter, UnfinishedUpload
from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.errors import CorruptAnnotations, CorruptModel, CorruptVersion, UnknownModel
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.domain.retention import RetentionPolicy
from twisted_registry.domain.translation import ErrorTranslation
from twisted_registry.registry.models import Model


class LostModel(CorruptModel):
    """
    The archive no longer has a model that the registry knows.
    """

    def __init__(self, model_id: str) -> None:
        super().__init__(
            model_id,
            "its folder is gone",
            "restore its folder, or create the model again with CreateOrUpdateModel, without versions",
        )


@implementer(ILocatedArchive)
class LossDetectingArchive:
    """
    An archive that passes every call to another one, and raises ``LostModel`` instead of ``UnknownModel`` for a model
    that is known.

    Attributes:
        is_keyed: whether the archive remembers idempotency keys (``IKeyedArchive``).
        has_lifecycle: whether the archive can do what ``ILifecycleArchive`` asks for.
    """

    def __init__(
        self,
        archive: ILocatedArchive,
        find_model: Callable[[str], Model | None],
        on_lost: Callable[[Model], None],
    ) -> None:
        """

        Args:
            find_model: returns the model that has an id, in any thread; ``None`` if there is none or it is being
                deleted.
            on_lost: called with a model that the archive has lost, in the thread that noticed.
        """
        self.description: str = archive.description
        self.is_keyed: bool = IKeyedArchive.providedBy(archive)
        self.has_lifecycle: bool = ILifecycleArchive.providedBy(archive)
        self._reads_batches = IVersionBatches.providedBy(archive)
        self._is_resumable = IResumableArchive.providedBy(archive)
        self._defers_removals = IDeferredRemovals.providedBy(archive)
        self._archive = archive
        self._find_model = find_model
        self._on_lost = on_lost

    def detecting(self, model_id: str) -> ErrorTranslation[UnknownModel]:
        """
        Return a context manager that raises ``LostModel`` for an ``UnknownModel`` if the model is known now and still
        is when the error occurs.
        """
        return ErrorTranslation(UnknownModel, partial(self.lost, self._find_model(model_id)))

    def lost(self, model: Model | None, error: UnknownModel) -> CorruptModel | UnknownModel:
        """
        Return the error to raise for an ``UnknownModel``.

        Args:
            model: the model as it was known before the call; ``None`` if it was not.
        """
        if model is None or self._find_model(model.model_id) is not model:
            return error
        self._on_lost(model)
        return LostModel(model.model_id)

    def open(self) -> None:
        """See ``IArchive.open``."""
        self._archive.open()

    def close(self) -> None:
        """See ``IArchive.close``."""
        self._archive.close()

    def check(self) -> None:
        """See ``ILocatedArchive.check``."""
        self._archive.check()

    def missing(self, model_ids: Sequence[str]) -> list[str]:
        """See ``ILocatedArchive.missing``."""
        missing: list[str] = self._archive.missing(model_ids)
        return missing

    def model_ids(self) -> list[str]:
        """See ``IModelStore.model_ids``."""
        return self._archive.model_ids()

    def save_model(self, info: ModelInfo) -> None:
        """See ``IModelStore.save_model``."""
        self._archive.save_model(info)

    def delete_model(self, model_id: str) -> None:
        """See ``IModelStore.delete_model``."""
        self._archive.delete_model(model_id)

    def load_model(self, model_id: str) -> ModelInfo:
        """See ``IModelStore.load_model``."""
        with self.detecting(model_id):
            return self._archive.load_model(model_id)

    def version_numbers(self, model_id: str) -> list[int]:
        """See ``IVersionStore.version_numbers``."""
        with self.detecting(model_id):
            return self._archive.version_numbers(model_id)

    def load_version(self, model_id: str, version_number: int) -> VersionInfo:
        """See ``IVersionStore.load_version``."""
        with self.detecting(model_id):
            return self._archive.load_version(model_id, version_number)

    def load_versions(self, model_id: str, version_numbers: Sequence[int]) -> list[VersionInfo | CorruptVersion]:
        """See ``IVersionBatches.load_versions``.  Reads one after another if the archive has no such call."""
        if not self._reads_batches:
            return [self._load_or_error(model_id, number) for number in version_numbers]
        with self.detecting(model_id):
            found: list[VersionInfo | CorruptVersion] = IVersionBatches(self._archive).load_versions(
                model_id, version_numbers
            )
        return found

    def _load_or_error(self, model_id: str, version_number: int) -> VersionInfo | CorruptVersion:
        try:
            return self.load_version(model_id, version_number)
        except CorruptVersion as error:
            return error

    def open_version(self, model_id: str, version_number: int) -> IArchiveReader:
        """See ``IVersionStore.open_version``."""
        with self.detecting(model_id):
            return self._archive.open_version(model_id, version_number)

    def create_version(self, model_id: str) -> IArchiveWriter:
        """See ``IVersionStore.create_version``."""
        return _LossDetectingWriter(self._archive.create_version(model_id), self, model_id)

    def create_resumable(self, model_id: str, key_sha256: str, facts: UploadFacts) -> IArchiveWriter:
        """
        Call ``IResumableArchive.create_resumable``, or ``create_version`` if the archive keeps no unfinished uploads.
        """
        if not self._is_resumable:
            return self.create_version(model_id)
        writer = IResumableArchive(self._archive).create_resumable(model_id, key_sha256, facts)
        return _LossDetectingResumableWriter(writer, self, model_id)

    def find_unfinished(self, model_id: str, key_sha256: str) -> UnfinishedUpload | None:
        """See ``IResumableArchive.find_unfinished``.  Finds none if the archive keeps none."""
        if not self._is_resumable:
            return None
        upload: UnfinishedUpload | None = IResumableArchive(self._archive).find_unfinished(model_id, key_sha256)
        return upload

    def resume_version(self, upload: UnfinishedUpload) -> IArchiveWriter:
        """See ``IResumableArchive.resume_version``."""
        writer = IResumableArchive(self._archive).resume_version(upload)
        return _LossDetectingResumableWriter(writer, self, upload.model_id)

    def open_unfinished(self, upload: UnfinishedUpload) -> IArchiveReader:
        """See ``IResumableArchive.open_unfinished``."""
        with self.detecting(upload.model_id):
            reader: IArchiveReader = IResumableArchive(self._archive).open_unfinished(upload)
        return reader

    def high_water_mark(self, model_id: str) -> int:
        """See ``IHighWaterMarks.high_water_mark``."""
        return self._archive.high_water_mark(model_id)

    def set_high_water_mark(self, model_id: str, version_number: int) -> None:
        """See ``IHighWaterMarks.set_high_water_mark``."""
        with self.detecting(model_id):
            self._archive.set_high_water_mark(model_id, version_number)

    def delete_version(self, model_id: str, version_number: int) -> None:
        """See ``IVersionRemoval.delete_version``."""
        with self.detecting(model_id):
            ILifecycleArchive(self._archive).delete_version(model_id, version_number)

    def delete_versions(self, model_id: str, version_numbers: Sequence[int]) -> None:
        """See ``IVersionRemoval.delete_versions``."""
        with self.detecting(model_id):
            ILifecycleArchive(self._archive).delete_versions(model_id, version_numbers)

    def load_annotations(self, model_id: str, version_numbers: Sequence[int]) -> list[Annotations | CorruptAnnotations]:
        """See ``IAnnotationStore.load_annotations``.  Returns none if the archive keeps no labels and metrics."""
        if not self.has_lifecycle:
            return [NO_ANNOTATIONS] * len(version_numbers)
        with self.detecting(model_id):
            found: list[Annotations | CorruptAnnotations] = ILifecycleArchive(self._archive).load_annotations(
                model_id, version_numbers
            )
        return found

    def save_annotations(self, model_id: str, version_number: int, annotations: Annotations) -> None:
        """See ``IAnnotationStore.save_annotations``."""
        with self.detecting(model_id):
            ILifecycleArchive(self._archive).save_annotations(model_id, version_number, annotations)

    def load_aliases(self, model_id: str) -> AliasState:
        """See ``IAliasJournal.load_aliases``.  Returns none if the archive keeps no aliases."""
        if not self.has_lifecycle:
            return AliasState()
        with self.detecting(model_id):
            state: AliasState = ILifecycleArchive(self._archive).load_aliases(model_id)
        return state

    def alias_moves(
        self, model_id: str, alias: str | None = None, before: int | None = None, limit: int | None = None
    ) -> list[AliasMove]:
        """See ``IAliasJournal.alias_moves``."""
        with self.detecting(model_id):
            moves: list[AliasMove] = ILifecycleArchive(self._archive).alias_moves(model_id, alias, before, limit)
        return moves

    def append_alias_moves(self, model_id: str, moves: Sequence[AliasMove]) -> None:
        """See ``IAliasJournal.append_alias_moves``."""
        with self.detecting(model_id):
            ILifecycleArchive(self._archive).append_alias_moves(model_id, moves)

    def load_retention(self, model_id: str) -> RetentionPolicy | None:
        """See ``IRetentionStore.load_retention``."""
        with self.detecting(model_id):
            policy: RetentionPolicy | None = ILifecycleArchive(self._archive).load_retention(model_id)
        return policy

    def save_retention(self, model_id: str, policy: RetentionPolicy | None) -> None:
        """See ``IRetentionStore.save_retention``."""
        with self.detecting(model_id):
            ILifecycleArchive(self._archive).save_retention(model_id, policy)

    def retention_prefixes(self) -> Mapping[str, RetentionPolicy]:
        """See ``IRetentionStore.retention_prefixes``."""
        policies: Mapping[str, RetentionPolicy] = ILifecycleArchive(self._archive).retention_prefixes()
        return policies

    def save_retention_prefix(self, prefix: str, policy: RetentionPolicy | None) -> None:
        """See ``IRetentionStore.save_retention_prefix``."""
        ILifecycleArchive(self._archive).save_retention_prefix(prefix, policy)

    def removal_seconds(self) -> float | None:
        """See ``IDeferredRemovals.removal_seconds``.  Returns ``None`` if the archive removes everything at once."""
        seconds: float | None = IDeferredRemovals(self._archive).removal_seconds() if self._defers_removals else None
        return seconds

    def remove_some(self) -> None:
        """See ``IDeferredRemovals.remove_some``."""
        IDeferredRemovals(self._archive).remove_some()

    def set_key(self, writer: IArchiveWriter, key_sha256: str, now_seconds: int) -> None:
        """
        Call ``IKeyedArchiveWriter.set_key`` of a writer, if it can store keys.
        """
        if self.is_keyed:
            IKeyedArchiveWriter(writer).set_key(key_sha256, now_seconds)

    def stored_keys(self, model_id: str) -> list[StoredKey]:
        """See ``IKeyedArchive.stored_keys``.  Returns none if the archive stores no keys."""
        if not self.is_keyed:
            return []
        with self.detecting(model_id):
            keys: list[StoredKey] = IKeyedArchive(self._archive).stored_keys(model_id)
        return keys

    def remove_keys(self, model_id: str, keys: Sequence[StoredKey]) -> None:
        """See ``IKeyedArchive.remove_keys``."""
        if self.is_keyed:
            IKeyedArchive(self._archive).remove_keys(model_id, keys)


@implementer(IKeyedArchiveWriter, ILifecycleWriter, ISizedWriter)
@define(eq=False)
class _LossDetectingWriter:
    """
    The writer of a version whose model may get lost meanwhile.
    """

    _writer: IArchiveWriter
    _archive: LossDetectingArchive
    _model_id: str

    def expect(self, size_bytes: int) -> None:
        """See ``ISizedWriter.expect``.  Does nothing if the writer does not check sizes."""
        if ISizedWriter.providedBy(self._writer):
            ISizedWriter(self._writer).expect(size_bytes)

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        with self._archive.detecting(self._model_id):
            self._writer.write(chunk)

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""
        with self._archive.detecting(self._model_id):
            self._writer.finish()

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        with self._archive.detecting(self._model_id):
            self._writer.commit(info)

    def commit_between(self, info: VersionInfo) -> None:
        """See ``ILifecycleWriter.commit_between``."""
        with self._archive.detecting(self._model_id):
            ILifecycleWriter(self._writer).commit_between(info)

    def set_annotations(self, annotations: Annotations) -> None:
        """See ``ILifecycleWriter.set_annotations``."""
        ILifecycleWriter(self._writer).set_annotations(annotations)

    def set_alias_moves(self, moves: Sequence[AliasMove]) -> None:
        """See ``ILifecycleWriter.set_alias_moves``."""
        ILifecycleWriter(self._writer).set_alias_moves(moves)

    def set_key(self, key_sha256: str, now_seconds: int) -> None:
        """See ``IKeyedArchiveWriter.set_key``."""
        IKeyedArchiveWriter(self._writer).set_key(key_sha256, now_seconds)

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self._writer.abort()


@implementer(IResumableWriter)
@define(eq=False)
class _LossDetectingResumableWriter(_LossDetectingWriter):
    """
    The writer of an unfinished upload whose model may get lost meanwhile.
    """

    def suspend(self, dropped: Callable[[], None]) -> None:
        """See ``IResumableWriter.suspend``."""
        IResumableWriter(self._writer).suspend(dropped)

    def resume(self) -> bool:
        """See ``IResumableWriter.resume``."""
        is_there: bool = IResumableWriter(self._writer).resume()
        return is_there
