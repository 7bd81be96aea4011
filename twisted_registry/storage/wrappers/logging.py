"""
An archive that logs the storage errors of another one, for any provider and any caller.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field
from zope.interface import alsoProvides, implementer, providedBy

from twisted_registry.contracts.archive import IArchive, IVersionBatches
from twisted_registry.contracts.idempotency import IKeyedArchive, IKeyedArchiveWriter, StoredKey
from twisted_registry.contracts.lifecycle import IDeferredRemovals, ILifecycleArchive, ILifecycleWriter
from twisted_registry.contracts.ownership import ILocatedArchive
from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter, ISeekableReader, ISizedWriter
from twisted_registry.contracts.unfinished import IResumableArchive, IResumableWriter, UnfinishedUpload
from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.errors import CorruptAnnotations, CorruptVersion
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.domain.retention import RetentionPolicy
from twisted_registry.domain.translation import ErrorTranslation
from twisted_registry.storage.wrappers.error_log import STORAGE_ERRORS, StorageError, StorageErrorLog


@implementer(ILocatedArchive)
class LoggingArchive:
    """
    A wrapper that logs the calls that fail because of the medium.

    ``open``, ``close`` and ``model_ids`` are not logged: the operator sees their errors at the start or stop.
    """

    def __init__(self, archive: IArchive, errors: StorageErrorLog) -> None:
        self.description: str = archive.description
        self._archive = archive
        self._errors = errors
        optional = (IKeyedArchive, ILifecycleArchive, IDeferredRemovals, IResumableArchive, IVersionBatches)
        alsoProvides(self, *(interface for interface in optional if interface in providedBy(archive)))

    def open(self) -> None:
        """See ``IArchive.open``."""
        self._archive.open()

    def close(self) -> None:
        """See ``IArchive.close``."""
        self._archive.close()

    def model_ids(self) -> list[str]:
        """See ``IModelStore.model_ids``."""
        return self._archive.model_ids()

    def check(self) -> None:
        """See ``ILocatedArchive.check``.  Does nothing if the wrapped archive has no such call."""
        if ILocatedArchive.providedBy(self._archive):
            with self._errors.changing("check"):
                self._archive.check()

    def missing(self, model_ids: Sequence[str]) -> list[str]:
        """See ``ILocatedArchive.missing``.  Returns nothing if the wrapped archive has no such call."""
        if not ILocatedArchive.providedBy(self._archive):
            return []
        with self._errors.reading:
            missing: list[str] = self._archive.missing(model_ids)
        return missing

    def load_model(self, model_id: str) -> ModelInfo:
        """See ``IModelStore.load_model``."""
        with self._errors.reading:
            return self._archive.load_model(model_id)

    def version_numbers(self, model_id: str) -> list[int]:
        """See ``IVersionStore.version_numbers``."""
        with self._errors.reading:
            return self._archive.version_numbers(model_id)

    def load_version(self, model_id: str, version_number: int) -> VersionInfo:
        """See ``IVersionStore.load_version``."""
        with self._errors.reading:
            return self._archive.load_version(model_id, version_number)

    def load_versions(self, model_id: str, version_numbers: Sequence[int]) -> list[VersionInfo | CorruptVersion]:
        """See ``IVersionBatches.load_versions``."""
        with self._errors.reading:
            found: list[VersionInfo | CorruptVersion] = IVersionBatches(self._archive).load_versions(
                model_id, version_numbers
            )
        return found

    def open_version(self, model_id: str, version_number: int) -> IArchiveReader:
        """See ``IVersionStore.open_version``."""
        with self._errors.reading:
            reader = self._archive.open_version(model_id, version_number)
        if ISeekableReader.providedBy(reader):
            return LoggingSeekableReader(reader, self._errors)
        return LoggingReader(reader, self._errors)

    def high_water_mark(self, model_id: str) -> int:
        """See ``IHighWaterMarks.high_water_mark``."""
        with self._errors.reading:
            return self._archive.high_water_mark(model_id)

    def save_model(self, info: ModelInfo) -> None:
        """See ``IModelStore.save_model``."""
        with self._errors.changing("save"):
            self._archive.save_model(info)

    def delete_model(self, model_id: str) -> None:
        """See ``IModelStore.delete_model``."""
        with self._errors.changing("delete"):
            self._archive.delete_model(model_id)

    def create_version(self, model_id: str) -> IArchiveWriter:
        """See ``IVersionStore.create_version``."""
        return LoggingWriter(self._archive.create_version(model_id), self._errors)

    def create_resumable(self, model_id: str, key_sha256: str, facts: UploadFacts) -> IArchiveWriter:
        """See ``IResumableArchive.create_resumable``."""
        writer = IResumableArchive(self._archive).create_resumable(model_id, key_sha256, facts)
        return LoggingResumableWriter(writer, self._errors)

    def find_unfinished(self, model_id: str, key_sha256: str) -> UnfinishedUpload | None:
        """See ``IResumableArchive.find_unfinished``."""
        with self._errors.reading:
            upload: UnfinishedUpload | None = IResumableArchive(self._archive).find_unfinished(model_id, key_sha256)
        return upload

    def resume_version(self, upload: UnfinishedUpload) -> IArchiveWriter:
        """See ``IResumableArchive.resume_version``."""
        return LoggingResumableWriter(IResumableArchive(self._archive).resume_version(upload), self._errors)

    def open_unfinished(self, upload: UnfinishedUpload) -> IArchiveReader:
        """See ``IResumableArchive.open_unfinished``."""
        with self._errors.reading:
            return LoggingReader(IResumableArchive(self._archive).open_unfinished(upload), self._errors)

    def set_high_water_mark(self, model_id: str, version_number: int) -> None:
        """See ``IHighWaterMarks.set_high_water_mark``."""
        with self._errors.changing("set_high_water_mark"):
            self._archive.set_high_water_mark(model_id, version_number)

    def stored_keys(self, model_id: str) -> list[StoredKey]:
        """See ``IKeyedArchive.stored_keys``."""
        with self._errors.reading:
            keys: list[StoredKey] = IKeyedArchive(self._archive).stored_keys(model_id)
        return keys

    def remove_keys(self, model_id: str, keys: Sequence[StoredKey]) -> None:
        """See ``IKeyedArchive.remove_keys``."""
        IKeyedArchive(self._archive).remove_keys(model_id, keys)

    def delete_version(self, model_id: str, version_number: int) -> None:
        """See ``IVersionRemoval.delete_version``."""
        with self._errors.changing("delete"):
            ILifecycleArchive(self._archive).delete_version(model_id, version_number)

    def delete_versions(self, model_id: str, version_numbers: Sequence[int]) -> None:
        """See ``IVersionRemoval.delete_versions``."""
        with self._errors.changing("delete"):
            ILifecycleArchive(self._archive).delete_versions(model_id, version_numbers)

    def load_annotations(self, model_id: str, version_numbers: Sequence[int]) -> list[Annotations | CorruptAnnotations]:
        """See ``IAnnotationStore.load_annotations``."""
        with self._errors.reading:
            found: list[Annotations | CorruptAnnotations] = ILifecycleArchive(self._archive).load_annotations(
                model_id, version_numbers
            )
        return found

    def save_annotations(self, model_id: str, version_number: int, annotations: Annotations) -> None:
        """See ``IAnnotationStore.save_annotations``."""
        with self._errors.changing("save"):
            ILifecycleArchive(self._archive).save_annotations(model_id, version_number, annotations)

    def load_aliases(self, model_id: str) -> AliasState:
        """See ``IAliasJournal.load_aliases``."""
        with self._errors.reading:
            state: AliasState = ILifecycleArchive(self._archive).load_aliases(model_id)
        return state

    def alias_moves(
        self, model_id: str, alias: str | None = None, before: int | None = None, limit: int | None = None
    ) -> list[AliasMove]:
        """See ``IAliasJournal.alias_moves``."""
        with self._errors.reading:
            moves: list[AliasMove] = ILifecycleArchive(self._archive).alias_moves(model_id, alias, before, limit)
        return moves

    def append_alias_moves(self, model_id: str, moves: Sequence[AliasMove]) -> None:
        """See ``IAliasJournal.append_alias_moves``."""
        with self._errors.changing("save"):
            ILifecycleArchive(self._archive).append_alias_moves(model_id, moves)

    def load_retention(self, model_id: str) -> RetentionPolicy | None:
        """See ``IRetentionStore.load_retention``."""
        with self._errors.reading:
            policy: RetentionPolicy | None = ILifecycleArchive(self._archive).load_retention(model_id)
        return policy

    def save_retention(self, model_id: str, policy: RetentionPolicy | None) -> None:
        """See ``IRetentionStore.save_retention``."""
        with self._errors.changing("save"):
            ILifecycleArchive(self._archive).save_retention(model_id, policy)

    def retention_prefixes(self) -> Mapping[str, RetentionPolicy]:
        """See ``IRetentionStore.retention_prefixes``."""
        with self._errors.reading:
            policies: Mapping[str, RetentionPolicy] = ILifecycleArchive(self._archive).retention_prefixes()
        return policies

    def save_retention_prefix(self, prefix: str, policy: RetentionPolicy | None) -> None:
        """See ``IRetentionStore.save_retention_prefix``."""
        with self._errors.changing("save"):
            ILifecycleArchive(self._archive).save_retention_prefix(prefix, policy)

    def removal_seconds(self) -> float | None:
        """See ``IDeferredRemovals.removal_seconds``."""
        seconds: float | None = IDeferredRemovals(self._archive).removal_seconds()
        return seconds

    def remove_some(self) -> None:
        """See ``IDeferredRemovals.remove_some``."""
        with self._errors.changing("remove"):
            IDeferredRemovals(self._archive).remove_some()


@implementer(IArchiveReader)
@define(eq=False)
class LoggingReader:
    """
    A reader that logs the reads that fail.
    """

    _reader: IArchiveReader
    _errors: StorageErrorLog

    def read(self, size_bytes: int) -> bytes:
        """See ``IArchiveReader.read``."""
        with self._errors.reading:
            return self._reader.read(size_bytes)

    def close(self) -> None:
        """See ``IArchiveReader.close``."""
        self._reader.close()


@implementer(ISeekableReader)
@define(eq=False)
class LoggingSeekableReader(LoggingReader):
    """
    A reader that logs the reads that fail, and can start anywhere.
    """

    def seek(self, offset: int) -> None:
        """See ``ISeekableReader.seek``."""
        with self._errors.reading:
            ISeekableReader(self._reader).seek(offset)


@implementer(IKeyedArchiveWriter, ILifecycleWriter, ISizedWriter)
@define(eq=False)
class LoggingWriter:
    """
    A writer that logs only the first failure: later calls fail because the version was aborted.
    """

    _writer: IArchiveWriter
    _errors: StorageErrorLog
    _is_over: bool = False
    _logging: ErrorTranslation[StorageError] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._logging = ErrorTranslation(STORAGE_ERRORS, self._failed)

    def expect(self, size_bytes: int) -> None:
        """See ``ISizedWriter.expect``.  Does nothing if the writer does not check sizes."""
        if ISizedWriter.providedBy(self._writer):
            ISizedWriter(self._writer).expect(size_bytes)

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        with self._logging:
            self._writer.write(chunk)

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""
        with self._logging:
            self._writer.finish()

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        with self._logging:
            self._writer.commit(info)
        self._errors.succeeded("create")

    def commit_between(self, info: VersionInfo) -> None:
        """See ``ILifecycleWriter.commit_between``."""
        with self._logging:
            ILifecycleWriter(self._writer).commit_between(info)
        self._errors.succeeded("create")

    def set_annotations(self, annotations: Annotations) -> None:
        """See ``ILifecycleWriter.set_annotations``."""
        ILifecycleWriter(self._writer).set_annotations(annotations)

    def set_alias_moves(self, moves: Sequence[AliasMove]) -> None:
        """See ``ILifecycleWriter.set_alias_moves``."""
        ILifecycleWriter(self._writer).set_alias_moves(moves)

    def set_key(self, key_sha256: str, now_seconds: int) -> None:
        """See ``IKeyedArchiveWriter.set_key``.  Does nothing if the writer, perhaps itself a wrapper, cannot."""
        if IKeyedArchiveWriter.providedBy(self._writer):
            IKeyedArchiveWriter(self._writer).set_key(key_sha256, now_seconds)

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self._is_over = True
        self._writer.abort()

    def _failed(self, error: StorageError) -> StorageError:
        if not self._is_over:
            self._is_over = True
            self._errors.failed("create", error)
        return error


@implementer(IResumableWriter)
@define(eq=False)
class LoggingResumableWriter(LoggingWriter):
    """
    A writer of an unfinished upload that logs only the first failure.
    """

    def suspend(self, dropped: Callable[[], None]) -> None:
        """See ``IResumableWriter.suspend``."""
        IResumableWriter(self._writer).suspend(dropped)

    def resume(self) -> bool:
        """See ``IResumableWriter.resume``."""
        is_there: bool = IResumableWriter(self._writer).resume()
        return is_there
