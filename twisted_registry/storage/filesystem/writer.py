"""
Writing one version, in the order that a crash cannot break.

The data is written under a name of its own as it comes (``write``), and synced (``finish``).  What is left for the
commit is short: the data gets its name, the .yaml is written and synced, the folder is synced, the .yaml gets its name,
and the folder is synced once more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from threading import Lock

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchiveWriter
from twisted_registry.domain.errors import CommitUncertain, NumberTaken, RegistryError, StorageFailure
from twisted_registry.domain.models import Chunk, VersionInfo
from twisted_registry.storage.filesystem.failures import reason_of, writing
from twisted_registry.storage.filesystem.layout import ModelFolder, version_files
from twisted_registry.storage.filesystem.metadata import dump_version
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import remove
from twisted_registry.storage.filesystem.staging import PlaceholderLeft, StagingArea
from twisted_registry.storage.filesystem.system import close_quietly, lexists, within

_log = Logger()


class PendingCommits:
    """
    The data files that have their name though their .yaml has not: those of commits under way, and what a crash left.

    Only this tells the one from the other, so the latter are removed only here.
    """

    def __init__(self, staging: StagingArea) -> None:
        self._staging = staging
        self._lock = Lock()
        # Names of folders, and of files in them.
        self._under_way: set[tuple[str, str]] = set()
        self._left: set[tuple[str, str]] = set()

    @contextmanager
    def in_progress(self, folder: str, data: str) -> Iterator[None]:
        """
        Keep a data file from being taken for a left-over.
        """
        with self._lock:
            self._under_way.add((folder, data))
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard((folder, data))

    def remove_leftover(self, folder: ModelFolder, number: int) -> bool:
        """
        Remove a version's data, unless it is, or has become, that of a version.  Never raises.

        Returns:
            whether no left-over is there.
        """
        data, yaml = folder.version_data_name(number), folder.version_yaml(number)
        with self._lock:
            if (folder.name, data) in self._under_way:
                return True
            try:
                if lexists(self._staging.system, yaml):
                    return True
            except OSError:
                return False
            if not self._staging.discard(folder.handle, data):
                return False
        _log.info("removed {path}, which a crash had left behind", path=folder.version_data(number))
        return True

    def note_leftover(self, folder: ModelFolder, name: str) -> None:
        """
        Note that a commit that failed had to leave a file behind.
        """
        with self._lock:
            self._left.add((folder.name, name))

    def remove_leftovers(self, folder: ModelFolder) -> None:
        """
        Remove what failed commits left in a folder.  Below a later version it would no longer be known for what it is.

        Raises:
            OSError: something is still there.
        """
        with self._lock:
            left = [name for where, name in self._left if where == folder.name]
        if left:
            self._staging.sync_folder(folder.handle)
        for name in left:
            remove(self._staging.system, within(folder.path, name))
            with self._lock:
                self._left.discard((folder.name, name))


WRITTEN_AT_ONCE_BYTES = 1024 * 1024


class _Stage(Enum):
    WRITING = auto()
    FINISHED = auto()
    OVER = auto()


@implementer(IArchiveWriter)
@define(eq=False)
class FileWriter:
    """
    Writes a version's data to a file.  After any failure nothing is left and nothing more is taken: what a sync that
    failed has brought to rest is unknown, and a second sync would not tell.
    """

    _staging: StagingArea
    _models: ModelFolders
    _pending: PendingCommits
    _model_id: str
    _stage: _Stage = field(default=_Stage.WRITING, init=False)
    _descriptor: int | None = field(default=None, init=False)
    _temp_name: str = field(default="", init=False)
    _size_bytes: int = field(default=0, init=False)
    _started_bytes: int = field(default=0, init=False)

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        with self._given_up_on_failure(_Stage.WRITING), writing():
            descriptor = self._opened()
            self._staging.write_all(descriptor, chunk.data)
            self._size_bytes += chunk.size_bytes
            self._start_writeback(descriptor)

    def _start_writeback(self, descriptor: int) -> None:
        # The disk works while the next data comes, and not only once all has come.
        size_bytes = self._size_bytes - self._started_bytes
        if size_bytes >= WRITTEN_AT_ONCE_BYTES:
            self._staging.system.start_writeback(descriptor, self._started_bytes, size_bytes)
            self._started_bytes = self._size_bytes

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""
        with self._given_up_on_failure(_Stage.WRITING), writing():
            system, descriptor = self._staging.system, self._opened()
            system.fsync(descriptor)
            size_bytes = system.fstat(descriptor).st_size
            if size_bytes != self._size_bytes:
                raise StorageFailure(f"of {self._size_bytes} bytes written, {size_bytes} are there")
            self._descriptor = None
            system.close(descriptor)
            self._stage = _Stage.FINISHED

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        content = dump_version(info)
        with self._given_up_on_failure(_Stage.FINISHED), writing():
            self._staging.root.check()
            # Where others unmount a model's folder, another is in its place that holds no model.
            with self._models.open_existing(self._model_id) as folder:
                number = info.version_number
                with self._pending.in_progress(folder.name, folder.version_data_name(number)):
                    self._staging.retry_root_sync()
                    self._pending.remove_leftovers(folder)
                    self._publish(folder, number, content)
            self._stage = _Stage.OVER

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self._stage = _Stage.OVER
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_quietly(self._staging.system, descriptor)
        temp_name, self._temp_name = self._temp_name, ""
        if temp_name:
            self._discard_temp_file(temp_name)

    def _discard_temp_file(self, temp_name: str) -> None:
        try:
            with self._models.open(self._model_id) as folder:
                if not self._staging.discard(folder.handle, temp_name):
                    self._pending.note_leftover(folder, temp_name)
        except RegistryError:
            return  # it went with the model
        except OSError as error:
            _log.warn("a temp file of {id!r} is left for later: {reason}", id=self._model_id, reason=reason_of(error))

    def _opened(self) -> int:
        if self._descriptor is None:
            self._staging.root.check()
            with self._models.open(self._model_id) as folder:
                self._descriptor, self._temp_name = self._staging.create_temp_file(folder.handle)
        return self._descriptor

    @contextmanager
    def _given_up_on_failure(self, stage: _Stage) -> Iterator[None]:
        if self._stage is not stage:
            raise StorageFailure("the version was given up before, or is not at this point")
        try:
            yield
        except NumberTaken:
            raise
        except RegistryError:
            self.abort()
            raise

    def _publish(self, folder: ModelFolder, number: int, content: bytes) -> None:
        temp_name, self._temp_name = self._temp_name, ""
        data, yaml = folder.version_data_name(number), folder.version_yaml_name(number)
        try:
            self._staging.install_new(folder.handle, temp_name, data)
        except FileExistsError as error:
            self._temp_name = temp_name
            raise self._taken(folder, number) from error
        except PlaceholderLeft:
            self._pending.note_leftover(folder, data)
            raise
        try:
            described = self._staging.write_temp_file(folder.handle, content)
            self._sync_or_discard(folder, described)
            self._place_yaml(folder, described, yaml)
        except FileExistsError as error:
            self._temp_name = self._taken_back(folder, data, temp_name)
            raise self._taken(folder, number) from error
        except OSError:
            self._discard_data(folder, data)
            raise
        try:
            self._staging.sync_folder(folder.handle)
        except OSError as error:
            self._withdraw(folder, data, yaml)
            raise CommitUncertain(reason_of(error)) from error

    def _taken_back(self, folder: ModelFolder, data: str, temp_name: str) -> str:
        try:
            self._staging.uninstall(folder.handle, data, temp_name)
        except OSError:
            self._discard_data(folder, data)
            raise
        return temp_name

    def _taken(self, folder: ModelFolder, number: int) -> NumberTaken:
        # Its data alone may be there so far, the .yaml about to follow.
        files = version_files(folder.name, self._staging.system.listdir(folder.path))
        return NumberTaken(self._model_id, number, max([number, *files.numbers, *files.uncommitted]))

    def _sync_or_discard(self, folder: ModelFolder, described: str) -> None:
        try:
            self._staging.sync_folder(folder.handle)
        except OSError:
            self._staging.discard(folder.handle, described)
            raise

    def _place_yaml(self, folder: ModelFolder, described: str, yaml: str) -> None:
        try:
            self._staging.install_new(folder.handle, described, yaml, is_claimed=True)
        except FileExistsError:
            self._staging.discard(folder.handle, described)
            raise

    def _withdraw(self, folder: ModelFolder, data: str, yaml: str) -> None:
        # The data goes only when the .yaml is sure to be gone: should that come back after a power cut, the version is
        # whole.
        if not self._staging.discard(folder.handle, yaml):
            return
        try:
            self._staging.sync_folder(folder.handle)
        except OSError as error:
            _log.warn(
                "{path} is left, its version may come back: {reason}",
                path=within(folder.path, data),
                reason=reason_of(error),
            )
            self._pending.note_leftover(folder, data)
            return
        self._discard_data(folder, data)

    def _discard_data(self, folder: ModelFolder, data: str) -> None:
        if not self._staging.discard(folder.handle, data):
            self._pending.note_leftover(folder, data)
