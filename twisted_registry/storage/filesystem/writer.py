"""
The writer of an archived version, with an order of steps that survives a crash.

``write`` appends the data to a temp file, and ``finish`` syncs it.  The commit is short: the data file is renamed to
its final name, the .yaml is written and synced, the folder is synced, the .yaml is renamed to its final name, and the
folder is synced again.

If the number may be below others, ``.promoting-<number>`` exists meanwhile, and its name is durable before the data
gets its own.  Without it, data below the highest number that has no .yaml is damage; with it, the version was never
committed.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.idempotency import IKeyedArchiveWriter
from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.contracts.streams import ISizedWriter
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.errors import CommitUncertain, NumberTaken, RegistryError, StorageFailure
from twisted_registry.domain.models import Chunk, VersionInfo
from twisted_registry.storage.filesystem.extras import VersionExtras
from twisted_registry.storage.filesystem.failures import reason_of, writing
from twisted_registry.storage.filesystem.layout import ModelFolder, version_files
from twisted_registry.storage.filesystem.metadata import dump_version
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pending_commits import PendingCommits
from twisted_registry.storage.filesystem.staging import PlaceholderLeft, StagingArea
from twisted_registry.storage.filesystem.system import close_quietly, lexists, within

_log = Logger()


WRITEBACK_BYTES = 1024 * 1024
"""The number of bytes after which their writeback is started; more for a large file, with fewer and larger requests."""

_MOST_WRITEBACK_BYTES = 8 * WRITEBACK_BYTES


class Stage(Enum):
    """
    The stages of a writer.
    """

    WRITING = auto()
    FINISHED = auto()
    CLOSED = auto()


@implementer(IKeyedArchiveWriter, ILifecycleWriter, ISizedWriter)
@define(eq=False)
class FileWriter:
    """
    A writer of a version's data.  After any failure it removes what it wrote and refuses further calls, because after
    a failed sync nobody knows what is durable, and a second sync would not report it.
    """

    _staging: StagingArea
    _models: ModelFolders
    _pending: PendingCommits
    _extras: VersionExtras
    _model_id: str
    _stage: Stage = field(default=Stage.WRITING, init=False)
    _descriptor: int | None = field(default=None, init=False)
    _temp_name: str = field(default="", init=False)
    _size_bytes: int = field(default=0, init=False)
    _writeback_bytes: int = field(default=0, init=False)
    _expected_bytes: int = field(default=0, init=False)

    def expect(self, size_bytes: int) -> None:
        """See ``ISizedWriter.expect``."""
        self._expected_bytes = size_bytes

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        with self._aborting_on_failure(Stage.WRITING), writing():
            descriptor = self._open()
            self._staging.write_all(descriptor, chunk.data)
            self._size_bytes += chunk.size_bytes
            self._start_writeback(descriptor)

    def _start_writeback(self, descriptor: int) -> None:
        # The disk writes while the next data arrives.
        size_bytes = self._size_bytes - self._writeback_bytes
        if size_bytes >= max(WRITEBACK_BYTES, min(self._size_bytes // 4, _MOST_WRITEBACK_BYTES)):
            self._staging.system.start_writeback(descriptor, self._writeback_bytes, size_bytes)
            self._writeback_bytes = self._size_bytes

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""
        with self._aborting_on_failure(Stage.WRITING), writing():
            system, descriptor = self._staging.system, self._open()
            system.fsync(descriptor)
            size_bytes = system.fstat(descriptor).st_size
            if size_bytes != self._size_bytes:
                raise StorageFailure(f"{self._size_bytes} bytes were written, but the file has {size_bytes}")
            self._descriptor = None
            system.close(descriptor)
            self._stage = Stage.FINISHED

    def set_key(self, key_sha256: str, now_seconds: int) -> None:
        """See ``IKeyedArchiveWriter.set_key``."""
        self._extras.key = key_sha256, now_seconds

    def set_annotations(self, annotations: Annotations) -> None:
        """See ``ILifecycleWriter.set_annotations``."""
        self._extras.annotations = annotations

    def set_alias_moves(self, moves: Sequence[AliasMove]) -> None:
        """See ``ILifecycleWriter.set_alias_moves``."""
        self._extras.alias_moves = moves

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        self._commit(info, self._publish)

    def commit_between(self, info: VersionInfo) -> None:
        """See ``ILifecycleWriter.commit_between``."""
        self._commit(info, self._promote)

    def _commit(self, info: VersionInfo, publish: Callable[[ModelFolder, VersionInfo, bytes], None]) -> None:
        content = dump_version(info)
        with self._aborting_on_failure(Stage.FINISHED), writing():
            self._staging.root.check()
            # If somebody has unmounted the model's folder, the folder below the mount does not hold a model.
            with self._models.open_existing(self._model_id) as folder:
                number = info.version_number
                with self._pending.in_progress(folder.name, folder.version_data_name(number)):
                    self._staging.retry_root_sync()
                    self._pending.remove_leftovers(folder)
                    publish(folder, info, content)
            self._stage = Stage.CLOSED

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self._stage = Stage.CLOSED
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
                self._check_space(folder)
                self._descriptor, self._temp_name = self._staging.create_temp_file(folder.handle)
        return self._descriptor

    def _check_space(self, folder: ModelFolder) -> None:
        self._staging.system.space.check(self._expected_bytes - self._size_bytes, folder.handle.descriptor)

    @contextmanager
    def _aborting_on_failure(self, stage: Stage) -> Iterator[None]:
        if self._stage is not stage:
            raise StorageFailure("the version was aborted, or this call is out of order")
        try:
            yield
        except NumberTaken:
            raise
        except RegistryError:
            self.abort()
            raise

    def _promote(self, folder: ModelFolder, info: VersionInfo, content: bytes) -> None:
        number = info.version_number
        self._check_is_free(folder, number)
        mark = folder.promoting_name(number)
        self._create_mark(folder, mark)
        try:
            self._publish(folder, info, content)
        except NumberTaken:
            self._staging.discard(folder.handle, mark)
            raise
        except (OSError, RegistryError):
            self._discard_mark(folder, number)
            raise
        self._staging.discard(folder.handle, mark)

    def _check_is_free(self, folder: ModelFolder, number: int) -> None:
        names = folder.version_yaml_name(number), folder.version_data_name(number), folder.deleted_name(number)
        if any(lexists(self._staging.system, within(folder.path, name)) for name in names):
            raise self._number_taken(folder, number)

    def _create_mark(self, folder: ModelFolder, name: str) -> None:
        system = self._staging.system
        try:
            system.close(system.open(within(folder.handle, name), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW))
            self._staging.sync_folder(folder.handle)
        except OSError:
            self._staging.discard(folder.handle, name)
            raise

    def _discard_mark(self, folder: ModelFolder, number: int) -> None:
        # Not before the data is durably gone: without the mark it would look like damage.
        try:
            is_data_left = lexists(self._staging.system, folder.version_data(number))
        except OSError:
            return
        if not is_data_left and self._staging.try_sync_folder(folder.handle):
            self._staging.discard(folder.handle, folder.promoting_name(number))

    def _publish(self, folder: ModelFolder, info: VersionInfo, content: bytes) -> None:
        number = info.version_number
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
            self._publish_yaml(folder, info, content, yaml)
        except FileExistsError as error:
            self._temp_name = self._uninstall(folder, data, temp_name)
            raise self._number_taken(folder, number) from error
        except (OSError, RegistryError):
            self._discard_data(folder, data)
            raise
        try:
            self._staging.sync_folder(folder.handle)
        except OSError as error:
            self._withdraw(folder, info, data, yaml)
            raise CommitUncertain(reason_of(error)) from error

    def _publish_yaml(self, folder: ModelFolder, info: VersionInfo, content: bytes, yaml: str) -> None:
        try:
            self._extras.create(folder, info)
            temp_yaml = self._staging.write_temp_file(folder.handle, content)
            self._sync_or_discard(folder, info, temp_yaml)
            self._install_yaml(folder, temp_yaml, yaml)
        except (OSError, RegistryError):
            self._extras.discard(folder, info)
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

    def _sync_or_discard(self, folder: ModelFolder, info: VersionInfo, temp_yaml: str) -> None:
        try:
            self._staging.sync_folder(folder.handle)
            self._extras.move_aliases(folder, info)
        except (OSError, RegistryError):
            self._staging.discard(folder.handle, temp_yaml)
            raise

    def _install_yaml(self, folder: ModelFolder, temp_yaml: str, yaml: str) -> None:
        try:
            self._staging.install_new(folder.handle, temp_yaml, yaml, is_claimed=True)
        except FileExistsError:
            self._staging.discard(folder.handle, temp_yaml)
            raise

    def _withdraw(self, folder: ModelFolder, info: VersionInfo, data: str, yaml: str) -> None:
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
        self._extras.discard(folder, info)
        self._discard_data(folder, data)

    def _discard_data(self, folder: ModelFolder, data: str) -> None:
        if not self._staging.discard(folder.handle, data):
            self._pending.note_leftover(folder, data)
