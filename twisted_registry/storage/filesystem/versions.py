"""
The archived versions of a model, two files each.
"""

from collections.abc import Sequence
from stat import S_ISLNK, S_ISREG

from attrs import define
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.streams import ISeekableReader
from twisted_registry.contracts.unfinished import UnfinishedUpload
from twisted_registry.domain.errors import (
    CorruptVersion,
    RegistryError,
    StorageFailure,
    StorageUnavailable,
    UnknownModel,
    shown,
)
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.translation import ErrorTranslation
from twisted_registry.storage.filesystem.alias_journal import AliasJournals
from twisted_registry.storage.filesystem.annotations import AnnotationFiles
from twisted_registry.storage.filesystem.deletion import VersionDeletion
from twisted_registry.storage.filesystem.extras import ExtraFiles, VersionExtras
from twisted_registry.storage.filesystem.failures import (
    Malformed,
    damage_or_failure,
    reading,
)
from twisted_registry.storage.filesystem.high_water_marks import HighWaterMarks
from twisted_registry.storage.filesystem.idempotency import KeyFiles
from twisted_registry.storage.filesystem.layout import (
    ANNOTATIONS_PREFIX,
    DELETED,
    DELETED_PREFIX,
    PROMOTING_PREFIX,
    ModelFolder,
    VersionFiles,
    marked_numbers,
    version_files,
)
from twisted_registry.storage.filesystem.metadata import parse_version
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pending_commits import PendingCommits
from twisted_registry.storage.filesystem.pinned_directory import LINK, open_file, read_metadata, read_up_to
from twisted_registry.storage.filesystem.resumable_writer import ResumableFileWriter
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import System, close_quietly
from twisted_registry.storage.filesystem.unfinished import UnfinishedUploads
from twisted_registry.storage.filesystem.writer import FileWriter

_log = Logger()


@implementer(ISeekableReader)
@define(eq=False)
class FileReader:
    """
    A reader of a version's data.  The file stays readable while it is open, even if it is renamed or removed.
    """

    _system: System
    _descriptor: int | None
    _reading: ErrorTranslation[OSError]

    def read(self, size_bytes: int) -> bytes:
        """See ``IArchiveReader.read``."""
        if self._descriptor is None:
            raise StorageFailure("the version is closed already")
        with self._reading:
            return read_up_to(self._system, self._descriptor, size_bytes)

    def seek(self, offset: int) -> None:
        """See ``ISeekableReader.seek``."""
        if self._descriptor is None:
            raise StorageFailure("the version is closed already")
        with self._reading:
            self._system.seek(self._descriptor, offset)

    def close(self) -> None:
        """See ``IArchiveReader.close``."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_quietly(self._system, descriptor)


class ArchivedVersions:
    """
    The part of an archive that keeps versions.  Its methods may be called in any thread.
    """

    def __init__(self, staging: StagingArea, models: ModelFolders, marks: HighWaterMarks) -> None:
        self._staging = staging
        self._models = models
        self._system = staging.system
        self._pending = PendingCommits(staging)
        self.keys = KeyFiles(staging, models)
        self.annotations = AnnotationFiles(staging, models)
        self.aliases = AliasJournals(staging, models)
        self._deletion = VersionDeletion(staging, models, marks, self._pending, self.aliases)
        self._extras = ExtraFiles(self.keys, self.annotations, self.aliases, self._pending)
        self.uploads = UnfinishedUploads(staging, models)
        self._swept: set[str] = set()

    def forget_sweeps(self) -> None:
        """
        Sweep each model's folder again when the model is next used.
        """
        self._swept.clear()
        self.aliases.forget_settled()

    def sweep_temp_files(self) -> None:
        """
        Remove the temp files that a crash left in the folders of all models.  A folder that cannot be read is skipped.
        """
        for model_id in self._models.ids():
            try:
                with self._models.open(model_id) as folder:
                    self._staging.sweep_temp_files(folder.handle, self._system.listdir(folder.path))
            except (OSError, RegistryError) as error:
                _log.warn("model {model_id} is not swept: {error}", model_id=shown(model_id), error=error)

    # All versions of a model.

    def numbers(self, model_id: str) -> list[int]:
        """
        Return a model's version numbers; see ``IVersionStore.version_numbers``.
        """
        with reading(f"the versions of model {shown(model_id)}"), self._models.open(model_id) as folder:
            names = self._system.listdir(folder.path)
            files = self._files(model_id, folder, names)
            if folder.name not in self._swept:
                self._sweep(folder, files, names)
            # A folder is swept only once: data that appears later may belong to a version that somebody is restoring.
        _log_damage(folder, files)
        return files.numbers

    def _sweep(self, folder: ModelFolder, files: VersionFiles, names: list[str]) -> None:
        hidden = [name for name in names if name[0] == "."]
        self._staging.sweep_temp_files(folder.handle, hidden)
        # If the removal of a .yaml is not durable, a crash could bring it back after its data is gone.
        is_durable = self._staging.try_sync_folder(folder.handle)
        self._sweep_annotations(folder, files, hidden, is_durable)
        if is_durable:
            removed = [self._pending.remove_leftover(folder, number) for number in files.uncommitted]
            if all(removed) and self._sweep_marks(folder, hidden):
                self._swept.add(folder.name)

    def _sweep_annotations(self, folder: ModelFolder, files: VersionFiles, hidden: list[str], is_durable: bool) -> None:
        annotated = marked_numbers(hidden, ANNOTATIONS_PREFIX)
        for number in set(annotated).difference(files.numbers) if annotated else ():
            name = folder.annotations_name(number)
            if not (is_durable and self._pending.remove_leftover(folder, number, name)):
                # They must be gone before another version gets the number.
                self._pending.note_leftover(folder, name)

    def _sweep_marks(self, folder: ModelFolder, hidden: list[str]) -> bool:
        if any(marked_numbers(hidden, DELETED_PREFIX)):
            self._deletion.remove_later(folder.name)
        promoting = marked_numbers(hidden, PROMOTING_PREFIX)
        return not promoting or self._pending.remove_marks(folder, promoting)

    def _files(self, model_id: str, folder: ModelFolder, names: list[str]) -> VersionFiles:
        files = version_files(folder.name, names)
        if folder.yaml_name not in names and (not files.numbers or DELETED in names):
            raise UnknownModel(model_id)
        return files

    # One version.

    def load(self, model_id: str, version_number: int) -> VersionInfo:
        """
        Read a version's info; see ``IVersionStore.load_version``.
        """
        with _damage_of(model_id, version_number, ".yaml"), self._models.open(model_id) as folder:
            return self._load(folder, model_id, version_number)

    def load_all(self, model_id: str, version_numbers: Sequence[int]) -> list[VersionInfo | CorruptVersion]:
        """
        Read the infos of versions; see ``IVersionBatches.load_versions``.
        """
        if not version_numbers:
            return []
        try:
            with _damage_of(model_id, version_numbers[0], ".yaml"), self._models.open(model_id) as folder:
                return [self._load_or_error(folder, model_id, number) for number in version_numbers]
        except CorruptVersion as error:  # the folder cannot be opened
            return [CorruptVersion(model_id, number, error.reason) for number in version_numbers]

    def _load_or_error(self, folder: ModelFolder, model_id: str, version_number: int) -> VersionInfo | CorruptVersion:
        try:
            return self._load(folder, model_id, version_number)
        except CorruptVersion as error:
            return error

    def _load(self, folder: ModelFolder, model_id: str, version_number: int) -> VersionInfo:
        # Context managers would take as long as the rest of Python's part here.
        which = ".yaml"
        try:
            content = read_metadata(self._system, folder.version_yaml(version_number))
            info = parse_version(content, model_id, version_number)
            which = ".data"
            self._check_data(folder.version_data(version_number), info.size_bytes)
        except (OSError, Malformed) as error:
            raise _damage(error, model_id, version_number, which) from error
        return info

    def _check_data(self, path: str, size_bytes: int) -> None:
        status = self._system.lstat(path)
        if S_ISLNK(status.st_mode):
            raise Malformed(LINK)
        if not S_ISREG(status.st_mode):
            raise Malformed("it is not a regular file")
        if status.st_size != size_bytes:
            raise Malformed(f"it has {status.st_size} bytes instead of {size_bytes}")

    def open(self, model_id: str, version_number: int) -> FileReader:
        """
        Start reading a version's data; see ``IVersionStore.open_version``.
        """
        with _damage_of(model_id, version_number, ".data"), self._models.open(model_id) as folder:
            descriptor, _ = open_file(self._system, folder.version_data(version_number))
        return FileReader(self._system, descriptor, reading(_subject(model_id, version_number)))

    def delete(self, model_id: str, version_number: int) -> None:
        """
        Delete a version; see ``IVersionRemoval.delete_version``.
        """
        self._deletion.delete(model_id, version_number)

    def delete_all(self, model_id: str, version_numbers: Sequence[int]) -> None:
        """
        Delete versions; see ``IVersionRemoval.delete_versions``.
        """
        self._deletion.delete_all(model_id, version_numbers)

    def create(self, model_id: str) -> FileWriter:
        """
        Start writing a version; see ``IVersionStore.create_version``.
        """
        return FileWriter(self._staging, self._models, self._pending, VersionExtras(self._extras), model_id)

    def write_upload(self, upload: UnfinishedUpload) -> ResumableFileWriter:
        """
        Start writing a version whose data outlives the process, or go on with it.
        """
        extras = VersionExtras(self._extras)
        return ResumableFileWriter(
            self._staging, self._models, self._pending, extras, upload.model_id, uploads=self.uploads, upload=upload
        )

    def read_upload(self, upload: UnfinishedUpload) -> FileReader:
        """
        Open the data of an unfinished upload; see ``IResumableArchive.open_unfinished``.
        """
        return FileReader(self._system, self.uploads.open(upload), reading("an unfinished upload"))


def _subject(model_id: str, version_number: int) -> str:
    return f"version {version_number} of model {shown(model_id)}"


def _damage(
    error: OSError | Malformed, model_id: str, version_number: int, which: str
) -> CorruptVersion | StorageUnavailable:
    # Damage to a file of a version concerns only that version.
    found = damage_or_failure(error, _subject(model_id, version_number)) if isinstance(error, OSError) else error
    if isinstance(found, Malformed):
        return CorruptVersion(model_id, version_number, f"its {which}: {found.reason}")
    return found


def _damage_of(model_id: str, version_number: int, which: str) -> ErrorTranslation[OSError | Malformed]:
    return ErrorTranslation((OSError, Malformed), lambda error: _damage(error, model_id, version_number, which))


def _log_damage(folder: ModelFolder, files: VersionFiles) -> None:
    if files.orphans:
        _log.warn(
            "{count} data files in {path} have lost their .yaml and are not versions; the first has number {number}",
            count=len(files.orphans),
            path=folder.path,
            number=files.orphans[0],
        )
    if files.out_of_range:
        _log.warn(
            "{count} versions in {path} have numbers out of range; the first is {number}",
            count=len(files.out_of_range),
            path=folder.path,
            number=files.out_of_range[0],
        )
