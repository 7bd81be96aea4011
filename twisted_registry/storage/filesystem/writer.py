"""
The writer of an archived version, with an order of steps that survives a crash.

``write`` appends the data to a temp file, and ``finish`` syncs it.  The commit is short: the data file is renamed to
its final name, the .yaml is written and synced, the folder is synced, the .yaml is renamed to its final name, and the
folder is synced again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from threading import Lock

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.idempotency import IKeyedArchiveWriter, StoredKey
from twisted_registry.domain.errors import CommitUncertain, NumberTaken, RegistryError, StorageFailure
from twisted_registry.domain.idempotency import version_facts
from twisted_registry.domain.models import Chunk, VersionInfo
from twisted_registry.storage.filesystem.failures import reason_of, writing
from twisted_registry.storage.filesystem.idempotency import KeyFiles
from twisted_registry.storage.filesystem.layout import ModelFolder, version_files
from twisted_registry.storage.filesystem.metadata import dump_version
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import remove
from twisted_registry.storage.filesystem.staging import PlaceholderLeft, StagingArea
from twisted_registry.storage.filesystem.system import close_quietly, lexists, within

_log = Logger()


class PendingCommits:
    """
    The data files that have their final names while their .yaml files have not: those of commits in progress, and
    those that a crash or a failed commit left.

    Only this class can tell them apart, so only it removes leftovers.
    """

    def __init__(self, staging: StagingArea) -> None:
        self._staging = staging
        self._lock = Lock()
        # Pairs of a folder's name and a file's name.
        self._in_progress: set[tuple[str, str]] = set()
        self._leftovers: set[tuple[str, str]] = set()

    @contextmanager
    def in_progress(self, folder: str, data: str) -> Iterator[None]:
        """
        Protect a data file from removal as a leftover.
        """
        with self._lock:
            self._in_progress.add((folder, data))
        try:
            yield
        finally:
            with self._lock:
                self._in_progress.discard((folder, data))

    def remove_leftover(self, folder: ModelFolder, number: int) -> bool:
        """
        Remove a version's data file, unless the version exists or is being committed.  Never raises.

        Returns:
            whether no leftover remains.
        """
        data, yaml = folder.version_data_name(number), folder.version_yaml(number)
        with self._lock:
            if (folder.name, data) in self._in_progress:
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
        Record a file that a failed commit could not remove.
        """
        with self._lock:
            self._leftovers.add((folder.name, name))

    def remove_leftovers(self, folder: ModelFolder) -> None:
        """
        Remove the files that failed commits left in a folder.  Once a higher version exists, they could no longer be
        recognized as leftovers.

        Raises:
            OSError: a file remains.
        """
        with self._lock:
            leftovers = [name for folder_name, name in self._leftovers if folder_name == folder.name]
        if leftovers:
            self._staging.sync_folder(folder.handle)
        for name in leftovers:
            remove(self._staging.system, within(folder.path, name))
            with self._lock:
                self._leftovers.discard((folder.name, name))


WRITEBACK_BYTES = 1024 * 1024
"""The number of bytes after which their writeback is started."""


class _Stage(Enum):
    WRITING = auto()
    FINISHED = auto()
    CLOSED = auto()


@implementer(IKeyedArchiveWriter)
@define(eq=False)
class FileWriter:
    """
    A writer of a version's data.  After any failure it removes what it wrote and refuses further calls, because after
    a failed sync nobody knows what is durable, and a second sync would not report it.
    """

    _staging: StagingArea
    _models: ModelFolders
    _pending: PendingCommits
    _keys: KeyFiles
    _model_id: str
    _stage: _Stage = field(default=_Stage.WRITING, init=False)
    _descriptor: int | None = field(default=None, init=False)
    _temp_name: str = field(default="", init=False)
    _size_bytes: int = field(default=0, init=False)
    _writeback_bytes: int = field(default=0, init=False)
    _key: tuple[str, int] | None = field(default=None, init=False)

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        with self._aborting_on_failure(_Stage.WRITING), writing():
            descriptor = self._open()
            self._staging.write_all(descriptor, chunk.data)
            self._size_bytes += chunk.size_bytes
            self._start_writeback(descriptor)

    def _start_writeback(self, descriptor: int) -> None:
        # The disk writes while the next data arrives.
        size_bytes = self._size_bytes - self._writeback_bytes
        if size_bytes >= WRITEBACK_BYTES:
            self._staging.system.start_writeback(descriptor, self._writeback_bytes, size_bytes)
            self._writeback_bytes = self._size_bytes

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""
        with self._aborting_on_failure(_Stage.WRITING), writing():
            system, descriptor = self._staging.system, self._open()
            system.fsync(descriptor)
            size_bytes = system.fstat(descriptor).st_size
            if size_bytes != self._size_bytes:
                raise StorageFailure(f"of {self._size_bytes} bytes written, {size_bytes} are in the file")
            self._descriptor = None
            system.close(descriptor)
            self._stage = _Stage.FINISHED

    def set_key(self, key_sha256: str, now_seconds: int) -> None:
        """See ``IKeyedArchiveWriter.set_key``."""
        self._key = key_sha256, now_seconds

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        content, key = dump_version(info), self._stored_key(info)
        with self._aborting_on_failure(_Stage.FINISHED), writing():
            self._staging.root.check()
            # If somebody has unmounted the model's folder, the folder below the mount does not hold a model.
            with self._models.open_existing(self._model_id) as folder:
                number = info.version_number
                with self._pending.in_progress(folder.name, folder.version_data_name(number)):
                    self._staging.retry_root_sync()
                    self._pending.remove_leftovers(folder)
                    self._publish(folder, number, content, key)
            self._stage = _Stage.CLOSED

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self._stage = _Stage.CLOSED
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
            return  # it was removed with the model
        except OSError as error:
            _log.warn("a temp file of {id!r} stays for now: {reason}", id=self._model_id, reason=reason_of(error))

    def _open(self) -> int:
        if self._descriptor is None:
            self._staging.root.check()
            with self._models.open(self._model_id) as folder:
                self._descriptor, self._temp_name = self._staging.create_temp_file(folder.handle)
        return self._descriptor

    @contextmanager
    def _aborting_on_failure(self, stage: _Stage) -> Iterator[None]:
        if self._stage is not stage:
            raise StorageFailure("the version was aborted, or this call is out of order")
        try:
            yield
        except NumberTaken:
            raise
        except RegistryError:
            self.abort()
            raise

    def _stored_key(self, info: VersionInfo) -> StoredKey | None:
        if self._key is None:
            return None
        key_sha256, now_seconds = self._key
        return StoredKey(key_sha256, info.version_number, now_seconds, version_facts(info))

    def _publish(self, folder: ModelFolder, number: int, content: bytes, key: StoredKey | None) -> None:
        temp_name, self._temp_name = self._temp_name, ""
        data, yaml = folder.version_data_name(number), folder.version_yaml_name(number)
        try:
            self._staging.install_new(folder.handle, temp_name, data)
        except FileExistsError as error:
            self._temp_name = temp_name
            raise self._number_taken(folder, number) from error
        except PlaceholderLeft:
            self._pending.note_leftover(folder, data)
            raise
        try:
            self._publish_yaml(folder, content, key, yaml)
        except FileExistsError as error:
            self._temp_name = self._uninstall(folder, data, temp_name)
            raise self._number_taken(folder, number) from error
        except OSError:
            self._discard_data(folder, data)
            raise
        try:
            self._staging.sync_folder(folder.handle)
        except OSError as error:
            self._withdraw(folder, data, yaml)
            raise CommitUncertain(reason_of(error)) from error

    def _publish_yaml(self, folder: ModelFolder, content: bytes, key: StoredKey | None, yaml: str) -> None:
        try:
            if key is not None:
                self._keys.create(folder, key)
            temp_yaml = self._staging.write_temp_file(folder.handle, content)
            self._sync_or_discard(folder, temp_yaml)
            self._install_yaml(folder, temp_yaml, yaml)
        except OSError:
            if key is not None:
                self._keys.discard(folder, key)
            raise

    def _uninstall(self, folder: ModelFolder, data: str, temp_name: str) -> str:
        try:
            self._staging.uninstall(folder.handle, data, temp_name)
        except OSError:
            self._discard_data(folder, data)
            raise
        return temp_name

    def _number_taken(self, folder: ModelFolder, number: int) -> NumberTaken:
        # So far only its data may exist, with the .yaml to follow.
        files = version_files(folder.name, self._staging.system.listdir(folder.path))
        return NumberTaken(self._model_id, number, max([number, *files.numbers, *files.uncommitted]))

    def _sync_or_discard(self, folder: ModelFolder, temp_yaml: str) -> None:
        try:
            self._staging.sync_folder(folder.handle)
        except OSError:
            self._staging.discard(folder.handle, temp_yaml)
            raise

    def _install_yaml(self, folder: ModelFolder, temp_yaml: str, yaml: str) -> None:
        try:
            self._staging.install_new(folder.handle, temp_yaml, yaml, is_claimed=True)
        except FileExistsError:
            self._staging.discard(folder.handle, temp_yaml)
            raise

    def _withdraw(self, folder: ModelFolder, data: str, yaml: str) -> None:
        # The data is removed only once the removal of the .yaml is durable.  If the .yaml comes back after a power cut,
        # the version is complete.
        if not self._staging.discard(folder.handle, yaml):
            return
        try:
            self._staging.sync_folder(folder.handle)
        except OSError as error:
            _log.warn(
                "{path} stays, because its version may come back: {reason}",
                path=within(folder.path, data),
                reason=reason_of(error),
            )
            self._pending.note_leftover(folder, data)
            return
        self._discard_data(folder, data)

    def _discard_data(self, folder: ModelFolder, data: str) -> None:
        if not self._staging.discard(folder.handle, data):
            self._pending.note_leftover(folder, data)
