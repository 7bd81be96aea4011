"""
An archive in memory, for tests and as the simplest implementation of the contract.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import define, evolve, field
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.idempotency import IKeyedArchive, IKeyedArchiveWriter, StoredKey
from twisted_registry.contracts.lifecycle import ILifecycleArchive, ILifecycleWriter
from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter, ISeekableReader
from twisted_registry.contracts.unfinished import IResumableArchive, IResumableWriter, UnfinishedUpload
from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.errors import (
    CannotStart,
    CorruptAnnotations,
    CorruptVersion,
    NumberTaken,
    StorageFailure,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.idempotency import version_facts
from twisted_registry.domain.kept import KeptData, UnfinishedLimits, first_of_too_many, first_of_too_much
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.domain.retention import RetentionPolicy


@define
class _Model:
    info: ModelInfo
    versions: dict[int, tuple[VersionInfo, bytes]] = field(factory=dict)
    high_water_mark: int = 0
    keys: set[StoredKey] = field(factory=set)
    annotations: dict[int, Annotations] = field(factory=dict)
    alias_moves: list[AliasMove] = field(factory=list)
    damaged_moves: int = 0
    retention: RetentionPolicy | None = None


@define
class UnfinishedData:
    """
    An unfinished upload.

    Attributes:
        facts: its declared properties.
        data: what was written.
        owner: the archive whose writer writes it; ``None`` if that is closed.
        dropped: what its writer wants to be called if the data is discarded.
    """

    facts: UploadFacts
    data: bytearray
    owner: object
    dropped: Callable[[], None] | None = None


@define
class MemoryMedium:
    """
    The storage of a ``MemoryArchive``, which outlives it as a disk outlives a process.

    Attributes:
        models: the models by id.
        in_use: whether an open archive uses it.
        prefixes: the retention policies of prefixes.
        unfinished: the unfinished uploads, by model and key.
    """

    models: dict[str, _Model] = field(factory=dict)
    in_use: bool = False
    prefixes: dict[str, RetentionPolicy] = field(factory=dict)
    unfinished: dict[tuple[str, str], UnfinishedData] = field(factory=dict)


@implementer(IArchive, IKeyedArchive, ILifecycleArchive, IResumableArchive)
class MemoryArchive:
    """
    An archive in memory.  Archives can be opened on a medium one after the other.

    Attributes:
        limits: the limits on unfinished uploads.
    """

    description: str = "memory"

    def __init__(self, medium: MemoryMedium | None = None) -> None:
        """
        Create an archive that is not open yet.

        Args:
            medium: the storage; ``None`` for a new one.
        """
        self._medium = medium or MemoryMedium()
        self._opened = False
        self.limits = UnfinishedLimits()

    def open(self) -> None:
        """See ``IArchive.open``."""
        if self._medium.in_use:
            raise CannotStart("the medium is in use")
        self._medium.in_use = self._opened = True
        self._release_unfinished()

    def close(self) -> None:
        """See ``IArchive.close``."""
        if self._opened:
            self._medium.in_use = self._opened = False
            self._release_unfinished()

    def _release_unfinished(self) -> None:
        unfinished = self._medium.unfinished
        for upload in unfinished.values():
            upload.owner = upload.dropped = None
        while (surplus := self._surplus()) is not None:
            del unfinished[surplus]

    def _surplus(self) -> tuple[str, str] | None:
        kept = {
            key: KeptData("", len(upload.data), number)
            for number, (key, upload) in enumerate(self._medium.unfinished.items())
        }
        return first_of_too_many(kept, self.limits.count) or first_of_too_much(kept, self.limits.size_bytes)

    def discard_suspended(self) -> None:
        """
        Discard the unfinished uploads that nobody is sending, as on a full disk.
        """
        for key, upload in list(self._medium.unfinished.items()):
            if upload.dropped is not None:
                del self._medium.unfinished[key]
                upload.dropped()

    def model_ids(self) -> list[str]:
        """See ``IModelStore.model_ids``."""
        return list(self._medium.models)

    def load_model(self, model_id: str) -> ModelInfo:
        """See ``IModelStore.load_model``."""
        return self.model(model_id).info

    def save_model(self, info: ModelInfo) -> None:
        """See ``IModelStore.save_model``."""
        copied = ModelInfo(info.model_id, dict(info.metadata))
        self._medium.models.setdefault(info.model_id, _Model(copied)).info = copied

    def delete_model(self, model_id: str) -> None:
        """See ``IModelStore.delete_model``."""
        self.model(model_id)
        del self._medium.models[model_id]
        for key in [key for key in self._medium.unfinished if key[0] == model_id]:
            del self._medium.unfinished[key]

    def version_numbers(self, model_id: str) -> list[int]:
        """See ``IVersionStore.version_numbers``."""
        return sorted(self.model(model_id).versions)

    def load_version(self, model_id: str, version_number: int) -> VersionInfo:
        """See ``IVersionStore.load_version``."""
        return self._version(model_id, version_number)[0]

    def open_version(self, model_id: str, version_number: int) -> IArchiveReader:
        """See ``IVersionStore.open_version``."""
        return _Reader(self._version(model_id, version_number)[1])

    def create_version(self, model_id: str) -> IArchiveWriter:
        """See ``IVersionStore.create_version``."""
        return _Writer(self, model_id)

    def create_resumable(self, model_id: str, key_sha256: str, facts: UploadFacts) -> IArchiveWriter:
        """See ``IResumableArchive.create_resumable``."""
        return _ResumableWriter(self, model_id, key=(model_id, key_sha256), facts=facts)

    def limit_unfinished(self, limits: UnfinishedLimits) -> None:
        """See ``IResumableArchive.limit_unfinished``."""
        self.limits = limits

    def find_unfinished(self, model_id: str, key_sha256: str) -> UnfinishedUpload | None:
        """See ``IResumableArchive.find_unfinished``."""
        found = self._medium.unfinished.get((model_id, key_sha256))
        if found is None or found.owner is self:
            return None
        return UnfinishedUpload(model_id, key_sha256, found.facts, len(found.data), 0)

    def resume_version(self, upload: UnfinishedUpload) -> IArchiveWriter:
        """See ``IResumableArchive.resume_version``."""
        key = upload.model_id, upload.key_sha256
        kept = self._medium.unfinished[key]
        kept.owner = self
        return _ResumableWriter(self, upload.model_id, kept.data, key=key, facts=upload.facts)

    def open_unfinished(self, upload: UnfinishedUpload) -> IArchiveReader:
        """See ``IResumableArchive.open_unfinished``."""
        self.model(upload.model_id)
        kept = self._medium.unfinished.get((upload.model_id, upload.key_sha256))
        if kept is None:
            raise StorageFailure("the data is gone")
        return _Reader(bytes(kept.data))

    @property
    def medium(self) -> MemoryMedium:
        """
        The storage.
        """
        return self._medium

    def high_water_mark(self, model_id: str) -> int:
        """See ``IHighWaterMarks.high_water_mark``."""
        model = self._medium.models.get(model_id)
        return model.high_water_mark if model else 0

    def set_high_water_mark(self, model_id: str, version_number: int) -> None:
        """See ``IHighWaterMarks.set_high_water_mark``."""
        self.model(model_id).high_water_mark = version_number

    def stored_keys(self, model_id: str) -> list[StoredKey]:
        """See ``IKeyedArchive.stored_keys``."""
        return list(self.model(model_id).keys)

    def remove_keys(self, model_id: str, keys: Sequence[StoredKey]) -> None:
        """See ``IKeyedArchive.remove_keys``."""
        model = self._medium.models.get(model_id)
        if model is not None:
            model.keys = model.keys.difference(keys)

    def delete_version(self, model_id: str, version_number: int) -> None:
        """See ``IVersionRemoval.delete_version``."""
        model = self.model(model_id)
        if version_number not in model.versions:
            raise UnknownVersion(model_id, version_number)
        model.high_water_mark = max(model.high_water_mark, version_number)
        del model.versions[version_number]
        model.annotations.pop(version_number, None)
        model.keys = {key for key in model.keys if key.version_number != version_number}

    def delete_versions(self, model_id: str, version_numbers: Sequence[int]) -> None:
        """See ``IVersionRemoval.delete_versions``."""
        for number in self.model(model_id).versions.keys() & set(version_numbers):
            self.delete_version(model_id, number)

    def load_annotations(self, model_id: str, version_numbers: Sequence[int]) -> list[Annotations | CorruptAnnotations]:
        """See ``IAnnotationStore.load_annotations``."""
        annotations = self.model(model_id).annotations
        return [annotations.get(number, NO_ANNOTATIONS) for number in version_numbers]

    def save_annotations(self, model_id: str, version_number: int, annotations: Annotations) -> None:
        """See ``IAnnotationStore.save_annotations``."""
        model = self.model(model_id)
        if version_number not in model.versions:
            raise UnknownVersion(model_id, version_number)
        model.annotations[version_number] = annotations

    def load_aliases(self, model_id: str) -> AliasState:
        """See ``IAliasJournal.load_aliases``."""
        model = self._medium.models.get(model_id)
        state = AliasState.after(self.alias_moves(model_id))
        return evolve(state, damaged_moves=model.damaged_moves if model else 0)

    def alias_moves(
        self, model_id: str, alias: str | None = None, before: int | None = None, limit: int | None = None
    ) -> list[AliasMove]:
        """See ``IAliasJournal.alias_moves``."""
        model = self._medium.models.get(model_id)
        moves = [move for move in (model.alias_moves if model else ()) if alias in (None, move.alias)]
        wanted = [move for move in moves if before is None or move.sequence < before]
        return wanted if limit is None else wanted[max(0, len(wanted) - limit) :]

    def append_alias_moves(self, model_id: str, moves: Sequence[AliasMove]) -> None:
        """See ``IAliasJournal.append_alias_moves``."""
        self.model(model_id).alias_moves.extend(moves)

    def load_retention(self, model_id: str) -> RetentionPolicy | None:
        """See ``IRetentionStore.load_retention``."""
        model = self._medium.models.get(model_id)
        return model.retention if model else None

    def save_retention(self, model_id: str, policy: RetentionPolicy | None) -> None:
        """See ``IRetentionStore.save_retention``."""
        self.model(model_id).retention = policy

    def retention_prefixes(self) -> Mapping[str, RetentionPolicy]:
        """See ``IRetentionStore.retention_prefixes``."""
        return dict(self._medium.prefixes)

    def save_retention_prefix(self, prefix: str, policy: RetentionPolicy | None) -> None:
        """See ``IRetentionStore.save_retention_prefix``."""
        self._medium.prefixes.pop(prefix, None)
        if policy is not None:
            self._medium.prefixes[prefix] = policy

    def model(self, model_id: str) -> _Model:
        """
        Return a model as it is stored.

        Args:
            model_id: the model's id.

        Raises:
            UnknownModel: there is no such model.
        """
        try:
            return self._medium.models[model_id]
        except KeyError:
            raise UnknownModel(model_id) from None

    def _version(self, model_id: str, number: int) -> tuple[VersionInfo, bytes]:
        model = self._medium.models.get(model_id)
        if model is None or number not in model.versions:
            raise CorruptVersion(model_id, number, "it is missing")
        return model.versions[number]


@implementer(IKeyedArchiveWriter, ILifecycleWriter)
@define
class _Writer:
    _archive: MemoryArchive
    _model_id: str
    _data: bytearray = field(factory=bytearray)
    _annotations: Annotations = NO_ANNOTATIONS
    _alias_moves: Sequence[AliasMove] = ()
    _stored_key: tuple[str, int] | None = None
    _is_over: bool = False

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        self._check_not_over()
        self._data += chunk.data

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""
        self._check_not_over()

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        self._check_not_over()
        self._is_over = True
        model = self._archive.model(self._model_id)
        model.versions[info.version_number] = (info, bytes(self._data))
        model.annotations[info.version_number] = self._annotations
        model.alias_moves.extend(self._alias_moves)
        if self._stored_key is not None:
            key_sha256, seconds = self._stored_key
            model.keys.add(StoredKey(key_sha256, info.version_number, seconds, version_facts(info)))

    def set_key(self, key_sha256: str, now_seconds: int) -> None:
        """See ``IKeyedArchiveWriter.set_key``."""
        self._stored_key = (key_sha256, now_seconds)

    def set_annotations(self, annotations: Annotations) -> None:
        """See ``ILifecycleWriter.set_annotations``."""
        self._annotations = annotations

    def set_alias_moves(self, moves: Sequence[AliasMove]) -> None:
        """See ``ILifecycleWriter.set_alias_moves``."""
        self._alias_moves = moves

    def commit_between(self, info: VersionInfo) -> None:
        """See ``ILifecycleWriter.commit_between``."""
        self._check_not_over()
        numbers = self._archive.model(self._model_id).versions
        if info.version_number in numbers:
            raise NumberTaken(self._model_id, info.version_number, max(numbers))
        self.commit(info)

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self._is_over = True

    def _check_not_over(self) -> None:
        if self._is_over:
            raise StorageFailure("the version was aborted or committed before")


@implementer(IResumableWriter)
@define
class _ResumableWriter(_Writer):
    _key: tuple[str, str] = field(kw_only=True)
    _facts: UploadFacts = field(kw_only=True)

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        super().write(chunk)
        self._archive.medium.unfinished[self._key] = UnfinishedData(self._facts, self._data, self._archive)

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        super().commit(info)
        self._forget()

    def suspend(self, dropped: Callable[[], None]) -> None:
        """See ``IResumableWriter.suspend``."""
        kept = self._archive.medium.unfinished.get(self._key)
        if kept is not None and kept.data is self._data:
            kept.dropped = dropped

    def resume(self) -> bool:
        """See ``IResumableWriter.resume``."""
        kept = self._archive.medium.unfinished.get(self._key)
        if kept is None or kept.data is not self._data:
            return not self._data
        kept.dropped = None
        return True

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        super().abort()
        self._forget()

    def _forget(self) -> None:
        kept = self._archive.medium.unfinished.get(self._key)
        if kept is not None and kept.data is self._data:
            del self._archive.medium.unfinished[self._key]


@implementer(ISeekableReader)
@define
class _Reader:
    _data: bytes
    _position: int = 0

    def read(self, size_bytes: int) -> bytes:
        """See ``IArchiveReader.read``."""
        start, self._position = self._position, self._position + size_bytes
        return self._data[start : self._position]

    def seek(self, offset: int) -> None:
        """See ``ISeekableReader.seek``."""
        self._position = offset

    def close(self) -> None:
        """See ``IArchiveReader.close``."""
        self._data = b""
