"""
The archived versions of a model, two files each, and the high-water mark of its version numbers.
"""

import re
import zlib
from stat import S_ISLNK, S_ISREG

from attrs import define
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.streams import IArchiveReader
from twisted_registry.domain.errors import (
    CorruptVersion,
    RegistryError,
    StorageFailure,
    StorageUnavailable,
    UnknownModel,
    shown,
)
from twisted_registry.domain.models import MAX_VERSION_NUMBER, VersionInfo
from twisted_registry.domain.translation import ErrorTranslation
from twisted_registry.storage.filesystem.failures import (
    Malformed,
    damage_or_failure,
    is_absent,
    is_link_loop,
    read_failure,
    reading,
    unreadable,
    writing,
)
from twisted_registry.storage.filesystem.idempotency import KeyFiles
from twisted_registry.storage.filesystem.layout import (
    DELETED,
    HIGH_WATER_MARK,
    ModelFolder,
    VersionFiles,
    version_files,
)
from twisted_registry.storage.filesystem.metadata import parse_version
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import LINK, open_file, read_metadata, read_up_to
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import System, close_quietly
from twisted_registry.storage.filesystem.writer import FileWriter, PendingCommits

_log = Logger()


@implementer(IArchiveReader)
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

    def close(self) -> None:
        """See ``IArchiveReader.close``."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_quietly(self._system, descriptor)


class ArchivedVersions:
    """
    The part of an archive that keeps versions.  Its methods may be called in any thread.
    """

    def __init__(self, staging: StagingArea, models: ModelFolders) -> None:
        self._staging = staging
        self._models = models
        self._system = staging.system
        self._pending = PendingCommits(staging)
        self.keys = KeyFiles(staging, models)
        self._swept: set[str] = set()

    def forget_sweeps(self) -> None:
        """
        Sweep each model's folder again when the model is next used.
        """
        self._swept.clear()

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
        self._staging.sweep_temp_files(folder.handle, names)
        # If the removal of a .yaml is not durable, a crash could bring it back after its data is gone.
        if self._staging.try_sync_folder(folder.handle):
            removed = [self._pending.remove_leftover(folder, number) for number in files.uncommitted]
            if all(removed):
                self._swept.add(folder.name)

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
            content = read_metadata(self._system, folder.version_yaml(version_number))
            info = parse_version(content, model_id, version_number)
            with _damage_of(model_id, version_number, ".data"):
                self._check_data(folder.version_data(version_number), info.size_bytes)
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

    def create(self, model_id: str) -> FileWriter:
        """
        Start writing a version; see ``IVersionStore.create_version``.
        """
        return FileWriter(self._staging, self._models, self._pending, self.keys, model_id)


def _subject(model_id: str, version_number: int) -> str:
    return f"version {version_number} of model {shown(model_id)}"


def _damage_of(model_id: str, version_number: int, which: str) -> ErrorTranslation[OSError | Malformed]:
    # Damage to a file of a version concerns that version only.
    def translate(error: OSError | Malformed) -> CorruptVersion | StorageUnavailable:
        found = damage_or_failure(error, _subject(model_id, version_number)) if isinstance(error, OSError) else error
        if isinstance(found, Malformed):
            return CorruptVersion(model_id, version_number, f"its {which}: {found.reason}")
        return found

    return ErrorTranslation((OSError, Malformed), translate)


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


MAX_HIGH_WATER_MARK_BYTES = 64
"""The largest size of the file: more than the longest number with its checksum takes."""

_SAFETY_GAP = 1_000_000
_FORMAT = re.compile(rb"([0-9]{1,10})(?: crc32=([0-9a-f]{8}))?\n")


class HighWaterMarks:
    """
    The part of an archive that keeps high-water marks.  Its methods may be called in any thread.
    """

    def __init__(self, staging: StagingArea, models: ModelFolders) -> None:
        self._staging = staging
        self._models = models

    def set(self, model_id: str, version_number: int) -> None:
        """
        Write a model's mark; see ``IHighWaterMarks.set_high_water_mark``.
        """
        with writing(), self._models.open_existing(model_id) as folder:
            self.set_in(folder, version_number)

    def set_in(self, folder: ModelFolder, version_number: int) -> None:
        """
        Write the mark in an open folder, without checking that it holds a model.

        Raises:
            StorageFull: the medium is full.
            StorageReadOnly: the medium is read-only.
            StorageFailure: the medium failed.
        """
        with writing():
            self._staging.replace_file(folder.handle, HIGH_WATER_MARK, format_high_water_mark(version_number))

    def get(self, model_id: str) -> int:
        """
        Read a model's mark; see ``IHighWaterMarks.high_water_mark``.
        """
        try:
            with reading(f"the high-water mark of model {shown(model_id)}"), self._models.open(model_id) as folder:
                return self.get_in(folder)
        except UnknownModel:
            return 0

    def get_in(self, folder: ModelFolder) -> int:
        """
        Read the mark in an open folder.  If the file is damaged, return a number that is certainly not lower.

        Raises:
            StorageUnavailable: the file cannot be read now.
        """
        try:
            return parse_high_water_mark(
                read_metadata(self._staging.system, folder.high_water_mark, MAX_HIGH_WATER_MARK_BYTES)
            )
        except Malformed as error:
            return self.guess(folder, error.reason)
        except OSError as error:
            if is_absent(error):
                return 0
            if is_link_loop(error):
                return self.guess(folder, unreadable(error))
            raise read_failure(error, f"the high-water mark in {shown(folder.name)}") from error

    def guess(self, folder: ModelFolder, reason: str) -> int:
        """
        Return a number that is certainly not lower than a lost mark.

        Args:
            reason: how the mark was lost.

        Raises:
            StorageUnavailable: the folder cannot be read now.
        """
        # A gap in the numbers is harmless.  A number that is used twice is not, because clients cache by it.
        with reading(f"the high-water mark in {shown(folder.name)}"):
            numbers = version_files(folder.name, self._staging.system.listdir(folder.path)).numbers
        guess = min(max(numbers, default=0) + _SAFETY_GAP, MAX_VERSION_NUMBER)
        _log.warn(
            "{path}: {reason}; numbers go on after {guess}", path=folder.high_water_mark, reason=reason, guess=guess
        )
        return guess


def format_high_water_mark(number: int) -> bytes:
    """
    Return the content of the file for a mark, with a checksum.
    """
    # One flipped bit can turn 900 into 100, and numbers would be used twice.
    digits = b"%d" % number
    return b"%s crc32=%08x\n" % (digits, zlib.crc32(digits))


def parse_high_water_mark(content: bytes) -> int:
    """
    Parse the content of the file.

    Raises:
        Malformed: it is damaged.
    """
    match = _FORMAT.fullmatch(content)
    if match is None:
        raise Malformed("it does not hold a version number")
    digits, crc32 = match.groups()
    if crc32 is not None and int(crc32, 16) != zlib.crc32(digits):
        raise Malformed("its checksum does not match")
    number = int(digits)
    if number > MAX_VERSION_NUMBER:
        raise Malformed("it does not hold a version number")
    return number
