"""
Versions on the file system: two files each in the folder of their model.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_ISREG

from twisted.logger import Logger

from twisted_registry.errors import CorruptVersion, UnknownModel, shown
from twisted_registry.storage._durable import Workbench
from twisted_registry.storage._failures import Malformed, is_absent, read_failure, telling_damage
from twisted_registry.storage._layout import ModelFolder, VersionFiles, model_folder, version_files
from twisted_registry.storage._metadata import parse_version
from twisted_registry.storage._reader import FileReader, open_file, read_metadata
from twisted_registry.storage._writer import FileWriter, Publications
from twisted_registry.values import VersionInfo

_log = Logger()


class ArchivedVersions:
    """
    The part of an archive that keeps versions.  May be used in any thread.
    """

    def __init__(self, root: str, bench: Workbench) -> None:
        self._root = root
        self._bench = bench
        self._system = bench.system
        self._publications = Publications(bench)

    # All versions of a model.

    def numbers(self, model_id: str) -> list[int]:
        """
        Give a model's numbers; see L{twisted_registry.interfaces.IVersionStore.version_numbers}.
        """
        folder = model_folder(self._root, model_id)
        files = self._files(model_id, folder)
        # A removal that is not at rest yet may be undone: then the .yaml would be back, and its data gone.
        for number in files.unfinished if self._bench.settle(folder.path) else ():
            self._publications.remove_leftover(folder.version_data(number), folder.version_yaml(number))
        _log_damage(folder, files)
        return files.numbers

    def _files(self, model_id: str, folder: ModelFolder) -> VersionFiles:
        try:
            names = self._system.listdir(folder.path)
        except OSError as error:
            if is_absent(error):
                raise UnknownModel(model_id) from error
            raise read_failure(error, f"the versions of model {shown(model_id)}") from error
        files = version_files(folder.name, names)
        if not files.numbers and os.path.basename(folder.yaml) not in names:
            raise UnknownModel(model_id)
        return files

    # One version.

    def load(self, model_id: str, version_number: int) -> VersionInfo:
        """
        Read what is known of a version; see L{twisted_registry.interfaces.IVersionStore.load_version}.
        """
        folder = model_folder(self._root, model_id)
        with _isolated(model_id, version_number, ".yaml"):
            content = read_metadata(self._system, folder.version_yaml(version_number))
            info = parse_version(content, model_id, version_number)
        with _isolated(model_id, version_number, ".data"):
            self._check_data(folder.version_data(version_number), info.size_bytes)
        return info

    def _check_data(self, path: str, size_bytes: int) -> None:
        status = self._system.stat(path)
        if not S_ISREG(status.st_mode):
            raise Malformed("it is not a file")
        if status.st_size != size_bytes:
            raise Malformed(f"it has {status.st_size} bytes instead of {size_bytes}")

    def open(self, model_id: str, version_number: int) -> FileReader:
        """
        Start reading a version's data; see L{twisted_registry.interfaces.IVersionStore.open_version}.
        """
        path = model_folder(self._root, model_id).version_data(version_number)
        with _isolated(model_id, version_number, ".data"):
            descriptor, _ = open_file(self._system, path)
        return FileReader(self._system, descriptor, _subject(model_id, version_number))

    def create(self, model_id: str) -> FileWriter:
        """
        Start writing a version; see L{twisted_registry.interfaces.IVersionStore.create_version}.
        """
        return FileWriter(self._bench, self._publications, model_folder(self._root, model_id), model_id)


def _subject(model_id: str, version_number: int) -> str:
    return f"version {version_number} of model {shown(model_id)}"


@contextmanager
def _isolated(model_id: str, version_number: int, which: str) -> Iterator[None]:
    # Whatever is wrong with a version's file is wrong with that version alone.
    try:
        with telling_damage(_subject(model_id, version_number)):
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
    if files.impossible:
        _log.warn(
            "{count} versions in {path} have numbers that no version can have, the first is {number}",
            count=len(files.impossible),
            path=folder.path,
            number=files.impossible[0],
        )
