"""
Versions on the file system: two files each in the folder of their model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_ISLNK, S_ISREG

from twisted.logger import Logger

from twisted_registry.domain.errors import CorruptVersion, RegistryError, UnknownModel, shown
from twisted_registry.domain.models import VersionInfo
from twisted_registry.storage.filesystem.failures import Malformed, detecting_damage, reading
from twisted_registry.storage.filesystem.layout import DELETED, ModelFolder, VersionFiles, version_files
from twisted_registry.storage.filesystem.metadata import parse_version
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.reader import LINK, FileReader, open_file, read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.writer import FileWriter, PendingCommits

_log = Logger()


class ArchivedVersions:
    """
    The part of an archive that keeps versions.  May be used in any thread.
    """

    def __init__(self, staging: StagingArea, models: ModelFolders) -> None:
        self._staging = staging
        self._models = models
        self._system = staging.system
        self._pending = PendingCommits(staging)
        self._swept: set[str] = set()

    def forget_sweeps(self) -> None:
        """
        Sweep again what is left in each model, when it is first used.
        """
        self._swept.clear()

    def sweep_temp_files(self) -> None:
        """
        Remove the temp files that a crash left in all models' folders.  What cannot be looked into is left for later.
        """
        for model_id in self._models.ids():
            try:
                with self._models.open(model_id) as folder:
                    self._staging.sweep_temp_files(folder.handle, self._system.listdir(folder.path))
            except (OSError, RegistryError) as error:
                _log.warn("model {model_id} is left for later: {error}", model_id=shown(model_id), error=error)

    # All versions of a model.

    def numbers(self, model_id: str) -> list[int]:
        """
        Give a model's numbers; see ``IVersionStore.version_numbers``.
        """
        with reading(f"the versions of model {shown(model_id)}"), self._models.open(model_id) as folder:
            names = self._system.listdir(folder.path)
            files = self._files(model_id, folder, names)
            if folder.name not in self._swept:
                self._sweep(folder, files, names)
            # What else has come since may be about to be restored by others, its .yaml last.
        _log_damage(folder, files)
        return files.numbers

    def _sweep(self, folder: ModelFolder, files: VersionFiles, names: list[str]) -> None:
        self._staging.sweep_temp_files(folder.handle, names)
        # A removal that is not at rest yet may be undone: then the .yaml would be back, and its data gone.
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
        Read what is known of a version; see ``IVersionStore.load_version``.
        """
        with _isolated(model_id, version_number, ".yaml"), self._models.open(model_id) as folder:
            content = read_metadata(self._system, folder.version_yaml(version_number))
            info = parse_version(content, model_id, version_number)
            with _isolated(model_id, version_number, ".data"):
                self._check_data(folder.version_data(version_number), info.size_bytes)
            return info

    def _check_data(self, path: str, size_bytes: int) -> None:
        status = self._system.lstat(path)
        if S_ISLNK(status.st_mode):
            raise Malformed(LINK)
        if not S_ISREG(status.st_mode):
            raise Malformed("it is not a file")
        if status.st_size != size_bytes:
            raise Malformed(f"it has {status.st_size} bytes instead of {size_bytes}")

    def open(self, model_id: str, version_number: int) -> FileReader:
        """
        Start reading a version's data; see ``IVersionStore.open_version``.
        """
        with _isolated(model_id, version_number, ".data"), self._models.open(model_id) as folder:
            descriptor, _ = open_file(self._system, folder.version_data(version_number))
        return FileReader(self._system, descriptor, _subject(model_id, version_number))

    def create(self, model_id: str) -> FileWriter:
        """
        Start writing a version; see ``IVersionStore.create_version``.
        """
        return FileWriter(self._staging, self._models, self._pending, model_id)


def _subject(model_id: str, version_number: int) -> str:
    return f"version {version_number} of model {shown(model_id)}"


@contextmanager
def _isolated(model_id: str, version_number: int, which: str) -> Iterator[None]:
    # Whatever is wrong with a version's file is wrong with that version alone.
    try:
        with detecting_damage(_subject(model_id, version_number)):
            yield
    except Malformed as error:
        raise CorruptVersion(model_id, version_number, f"its {which}: {error.reason}") from error


def _log_damage(folder: ModelFolder, files: VersionFiles) -> None:
    if files.orphans:
        _log.warn(
            "{count} data files in {path} have lost their .yaml and are no versions, the first is that of {number}",
            count=len(files.orphans),
            path=folder.path,
            number=files.orphans[0],
        )
    if files.out_of_range:
        _log.warn(
            "{count} versions in {path} have numbers that no version can have, the first is {number}",
            count=len(files.out_of_range),
            path=folder.path,
            number=files.out_of_range[0],
        )
