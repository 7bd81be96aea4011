"""
Writing one version, in the order that a crash cannot break.

The data is written under a name of its own as it comes (C{write}), and synced (C{finish}).  What is left for the commit
is short: the data gets its name, the .yaml is written and synced, the folder is synced, the .yaml gets its name, and
the folder is synced once more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from threading import Lock

from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.errors import CommitUncertain, RegistryError, StorageFailure, UnknownModel
from twisted_registry.interfaces import IArchiveWriter
from twisted_registry.storage._calls import close_quietly
from twisted_registry.storage._durable import Workbench
from twisted_registry.storage._failures import is_absent, reason_of, write_failure, writing
from twisted_registry.storage._layout import ModelFolder
from twisted_registry.storage._metadata import dump_version
from twisted_registry.values import Chunk, VersionInfo

_log = Logger()


class Publications:
    """
    The data files that have their name though their .yaml has not: those of commits under way, and what a crash left.

    Only this tells the one from the other, so the latter are removed only here.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._lock = Lock()
        self._under_way: set[str] = set()
        self._left: set[tuple[str, str]] = set()

    @contextmanager
    def announced(self, data: str) -> Iterator[None]:
        """
        Keep a data file from being taken for a left-over.
        """
        with self._lock:
            self._under_way.add(data)
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard(data)

    def remove_leftover(self, data: str, yaml: str) -> None:
        """
        Remove a data file, unless it is, or has become, that of a version.  Never raises.
        """
        with self._lock:
            if data not in self._under_way and self._is_absent(yaml) and self._bench.discard(data):
                _log.info("removed {path}, which a crash had left behind", path=data)

    def leave(self, folder: str, data: str) -> None:
        """
        Note that a commit that failed had to leave its data file behind, though no longer its .yaml.
        """
        with self._lock:
            self._left.add((folder, data))

    def clear(self, folder: str) -> None:
        """
        Remove what failed commits left in a folder.  Below a later version it would no longer be known for what it is.

        @raise OSError: something is still there.
        """
        with self._lock:
            left = [data for where, data in self._left if where == folder]
        if left:
            with self._bench.opened_folder(folder) as descriptor:
                self._bench.sync_folder(descriptor)
        for data in left:
            self._bench.remove(data)
            with self._lock:
                self._left.discard((folder, data))

    def _is_absent(self, path: str) -> bool:
        try:
            self._bench.system.lstat(path)
        except OSError as error:
            return is_absent(error)
        return False


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

    _bench: Workbench
    _publications: Publications
    _folder: ModelFolder
    _model_id: str
    _stage: _Stage = field(default=_Stage.WRITING, init=False)
    _descriptor: int | None = field(default=None, init=False)
    _draft: str = field(default="", init=False)
    _size_bytes: int = field(default=0, init=False)
    _started_bytes: int = field(default=0, init=False)

    def write(self, chunk: Chunk) -> None:
        """See L{IChunkSink.write}."""
        with self._given_up_on_failure(_Stage.WRITING), writing():
            descriptor = self._opened()
            self._bench.write_all(descriptor, chunk.data)
            self._size_bytes += chunk.size_bytes
            self._start_writing(descriptor)

    def _start_writing(self, descriptor: int) -> None:
        # The disk works while the next data comes, and not only once all has come.
        size_bytes = self._size_bytes - self._started_bytes
        if size_bytes >= WRITTEN_AT_ONCE_BYTES:
            self._bench.system.start_writing(descriptor, self._started_bytes, size_bytes)
            self._started_bytes = self._size_bytes

    def finish(self) -> None:
        """See L{IArchiveWriter.finish}."""
        with self._given_up_on_failure(_Stage.WRITING), writing():
            system, descriptor = self._bench.system, self._opened()
            system.fsync(descriptor)
            size_bytes = system.fstat(descriptor).st_size
            if size_bytes != self._size_bytes:
                raise StorageFailure(f"of {self._size_bytes} bytes written, {size_bytes} are there")
            self._descriptor = None
            system.close(descriptor)
            self._stage = _Stage.FINISHED

    def commit(self, info: VersionInfo) -> None:
        """See L{IArchiveWriter.commit}."""
        content = dump_version(info)
        data = self._folder.version_data(info.version_number)
        yaml = self._folder.version_yaml(info.version_number)
        with self._given_up_on_failure(_Stage.FINISHED), self._publications.announced(data):
            try:
                self._bench.settle_models()
                self._publications.clear(self._folder.path)
                with self._bench.opened_folder(self._folder.path) as descriptor:
                    self._publish(descriptor, data, yaml, content)
            except OSError as error:
                raise self._failure(error) from error
            self._stage = _Stage.OVER

    def abort(self) -> None:
        """See L{IChunkSink.abort}."""
        self._stage = _Stage.OVER
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_quietly(self._bench.system, descriptor)
        draft, self._draft = self._draft, ""
        if draft:
            self._bench.discard(draft)

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor, self._draft = self._bench.create_draft()
        return self._descriptor

    @contextmanager
    def _given_up_on_failure(self, stage: _Stage) -> Iterator[None]:
        if self._stage is not stage:
            raise StorageFailure("the version was given up before, or is not at this point")
        try:
            yield
        except RegistryError:
            self.abort()
            raise

    def _publish(self, folder: int, data: str, yaml: str, content: bytes) -> None:
        draft, self._draft = self._draft, ""
        self._bench.place(draft, data)
        try:
            described = self._bench.draft(content)
            self._sync_or_discard(folder, described)
            self._bench.place(described, yaml)
        except OSError:
            self._discard_data(data)
            raise
        try:
            self._bench.sync_folder(folder)
        except OSError as error:
            self._withdraw(folder, data, yaml)
            raise CommitUncertain(reason_of(error)) from error

    def _sync_or_discard(self, folder: int, described: str) -> None:
        try:
            self._bench.sync_folder(folder)
        except OSError:
            self._bench.discard(described)
            raise

    def _withdraw(self, folder: int, data: str, yaml: str) -> None:
        # The data goes only when the .yaml is sure to be gone: should that come back after a power cut, the version is
        # whole.
        if not self._bench.discard(yaml):
            return
        try:
            self._bench.sync_folder(folder)
        except OSError as error:
            _log.warn("{path} is left, its version may come back: {reason}", path=data, reason=reason_of(error))
            self._publications.leave(self._folder.path, data)
            return
        self._discard_data(data)

    def _discard_data(self, data: str) -> None:
        if not self._bench.discard(data):
            self._publications.leave(self._folder.path, data)

    def _failure(self, error: OSError) -> RegistryError:
        if is_absent(error) and self._is_model_gone():
            return UnknownModel(self._model_id)
        return write_failure(error)

    def _is_model_gone(self) -> bool:
        try:
            self._bench.system.lstat(self._folder.path)
        except OSError as error:
            return is_absent(error)
        return False
