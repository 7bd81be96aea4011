"""
The file of the audit log: opened, continued, and written to.
"""

import fcntl
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from twisted_registry.access.audit.chain import ChainEnd, Tail, hash_of, read_tail
from twisted_registry.domain.errors import AuditUnavailable

_MODE = 0o600
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_TAIL_BYTES = 1024 * 1024
"""More than any line has."""


@frozen
class AuditSystem:
    """
    The system calls that make lines durable, as arguments, so that tests can make them fail.

    Attributes:
        write: writes to a descriptor, and returns how many bytes were written.
        sync: makes what was written to a descriptor durable.
    """

    write: Callable[[int, memoryview], int] = field(default=os.write)
    sync: Callable[[int], None] = field(default=os.fsync)


class AuditFile:
    """
    A file with lines of the audit log, and the end of its chain.  Used by one thread.

    Attributes:
        end: the end of the chain.  If the file is replaced by an empty one, the chain goes on there.
    """

    def __init__(self, path: Path, system: AuditSystem) -> None:
        self.end = ChainEnd()
        self._is_end_certain = False
        self._path = path
        self._system = system
        self._descriptor: int | None = None

    @property
    def is_open(self) -> bool:
        """
        True if lines can be added.
        """
        return self._descriptor is not None

    @property
    def is_removed(self) -> bool:
        """
        True if the open file has no name any more, so that nobody would find what is added to it.
        """
        try:
            return self._descriptor is not None and not os.fstat(self._descriptor).st_nlink
        except OSError:  # such as ESTALE, on a file system of another machine
            return True

    def open(self) -> Mapping[str, Any]:
        """
        Open the file, create it if it is missing, and find the end of its chain.

        Returns:
            what the next line is to say about bytes after the last complete line: nothing if there are none.

        Raises:
            AuditUnavailable: the file cannot be used.
        """
        try:
            self._descriptor = descriptor = self._open()
            return self._continue(descriptor)
        except OSError as error:
            self.close()
            raise unwritable(error) from None
        except AuditUnavailable:
            self.close()
            raise

    def _open(self) -> int:
        try:
            descriptor = os.open(self._path, _FLAGS)
        except FileNotFoundError:
            descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, _MODE)
            _sync_folder(self._path.parent, self._system.sync)
        return descriptor

    def _continue(self, descriptor: int) -> Mapping[str, Any]:
        found = os.fstat(descriptor)
        check_kind(found)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AuditUnavailable("another process writes to it") from None
        if not found.st_size:
            return {}
        start = max(0, found.st_size - _TAIL_BYTES)
        content = os.pread(descriptor, found.st_size - start, start)
        tail = read_tail(content) or self._first_line(content)
        if tail.end != self.end and (self._is_end_certain or tail.end.sequence < self.end.sequence):
            raise AuditUnavailable("it holds other lines than those written so far; move it away")
        self.end = tail.end
        if not tail.is_closed:
            self._write_all(descriptor, b"\n")
        return {"torn_bytes": len(tail.torn), "torn_sha256": hash_of(tail.torn)} if tail.torn else {}

    def _first_line(self, content: bytes) -> Tail:
        # Perhaps the writing of the first line was interrupted.  Otherwise it is another kind of file.
        if not content.startswith((b"{", b"\0")) or b"\n" in content[:-1]:
            raise AuditUnavailable("it does not hold lines of an audit log; name another file")
        return Tail(self.end, content.removesuffix(b"\n"), content.endswith(b"\n"))

    def add(self, entries: Sequence[tuple[int, str]]) -> None:
        """
        Add lines, and make them durable.

        Args:
            entries: the time of each in nanoseconds since the Unix epoch, and its other fields as ``encode`` returns
                them.

        Raises:
            AuditUnavailable: they may not be durable.  The file is closed.
        """
        assert self._descriptor is not None, "the file is open"
        end, lines = self.end, []
        for time_ns, entry in entries:
            line, end = end.add_encoded(entry, time_ns)
            lines.append(line + b"\n")
        try:
            self._write_all(self._descriptor, b"".join(lines))
            self._system.sync(self._descriptor)
        except OSError as error:
            # Some lines may be in the file.  The chain goes on after the last complete one.
            self._is_end_certain = False
            self.close()
            raise unwritable(error) from None
        self.end, self._is_end_certain = end, True

    def _write_all(self, descriptor: int, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[self._system.write(descriptor, rest) :]

    def close(self) -> None:
        """
        Close the file.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def unwritable(error: OSError) -> AuditUnavailable:
    """
    Return the error of a file that the system cannot open or write.
    """
    return AuditUnavailable(error.strerror or "it cannot be written")


def check_kind(found: os.stat_result) -> None:
    """
    Check that a file can be an audit log.

    Raises:
        AuditUnavailable: it is not a file, or other users can write to it.
    """
    if not stat.S_ISREG(found.st_mode):
        raise AuditUnavailable("it is not a regular file")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o022:
        raise AuditUnavailable(f"other users can change it (mode {mode:04o}); run 'chmod go-w' on it")


def check_path(path: Path) -> None:
    """
    Check that lines can be added to a file, without creating it.

    Raises:
        AuditUnavailable: they cannot.
    """
    try:
        check_kind(path.lstat())
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise AuditUnavailable("its directory does not exist") from None
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise AuditUnavailable("its directory cannot be written") from None
    except OSError as error:
        raise unwritable(error) from None


def _sync_folder(path: Path, sync: Callable[[int], None]) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
