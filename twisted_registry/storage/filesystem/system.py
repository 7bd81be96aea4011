"""
The system calls of an archive.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from twisted.logger import Logger

from twisted_registry.storage.filesystem.failures import is_absent, reason_of
from twisted_registry.storage.filesystem.space import Space

_SYNC_FILE_RANGE_WRITE = 2
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_MOUNT_ID = re.compile(rb"^mnt_id:\s*(\d+)$", re.MULTILINE)
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs", "zfs", "bcachefs"})


def _find_function(name: str, *types: Any) -> Callable[..., int] | None:
    """
    Return a function of the C library that Python lacks; ``None`` if the library lacks it too.
    """
    try:
        function: Any = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return None
    function.argtypes = types
    return function  # type: ignore[no-any-return]  # ctypes is untyped


_sync_file_range = _find_function("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_renameat2 = _find_function("renameat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def _rename_noreplace(old_folder: int, old: str, new_folder: int, new: str) -> None:
    assert _renameat2 is not None
    if _renameat2(old_folder, os.fsencode(old), new_folder, os.fsencode(new), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Folder(str):
    """
    An open folder.

    As text it is the folder's path, for logs and for simulated systems.  The real system uses only the descriptor, so
    it reaches the folder that was opened even after the path has changed.
    """

    __slots__ = ("descriptor",)
    descriptor: int

    def __new__(cls, path: str, descriptor: int) -> "Folder":
        """
        Name an open folder.
        """
        self = super().__new__(cls, path)
        self.descriptor = descriptor
        return self


class Entry(str):
    """
    A name in an open folder, valid until the folder is closed.

    As text it is the full path.  The real system looks the name up in the open folder.
    """

    __slots__ = ("folder", "name")
    folder: Folder
    name: str

    def __new__(cls, folder: Folder, name: str) -> "Entry":
        """
        Name an entry of an open folder.
        """
        self = str.__new__(cls, f"{folder}/{name}")
        self.folder, self.name = folder, name
        return self


def within(folder: str, name: str) -> str:
    """
    Return the path of a name in a folder: an ``Entry`` if the folder is open.
    """
    return Entry(folder, name) if isinstance(folder, Folder) else os.path.join(folder, name)


def _at(path: str) -> tuple[str, int | None]:
    """
    Return a name, and the descriptor of the folder that it is relative to.
    """
    if isinstance(path, Entry):
        return path.name, path.folder.descriptor
    if isinstance(path, Folder):
        return ".", path.descriptor
    return path, None


class DirEntry(NamedTuple):
    """
    An entry of a folder.  Links are not followed.
    """

    name: str
    is_folder: bool
    is_link: bool


class System:
    """
    All calls that an archive makes to the operating system.

    Tests replace it with one that fails or dies at a given call.  All methods but ``seconds`` raise ``OSError``.

    Attributes:
        space: freed if the medium is full, before a call fails for that.
        synced: called with the seconds of each sync; ``None`` for nothing.
    """

    space = Space()
    synced: Callable[[float], None] | None = None

    def seconds(self) -> float:
        """
        Return the time in seconds from any fixed point.
        """
        return time.monotonic()

    def open(self, path: str, flags: int) -> int:
        """
        Open a file or a folder.  A file that this creates is accessible to the process's user only, whatever the
        umask.
        """
        name, folder = _at(path)
        if not flags & os.O_CREAT:
            return os.open(name, flags | os.O_CLOEXEC, dir_fd=folder)
        return self.space.retrying(lambda: os.open(name, flags | os.O_CLOEXEC, 0o600, dir_fd=folder), folder)

    def close(self, descriptor: int) -> None:
        """
        Close a descriptor.  It is released even if this fails.
        """
        os.close(descriptor)

    def read(self, descriptor: int, size_bytes: int) -> bytes:
        """
        Read up to a number of bytes; the result is empty only at the end of the file.
        """
        return os.read(descriptor, size_bytes)

    def seek(self, descriptor: int, position: int) -> None:
        """
        Continue to read a file at a position.
        """
        os.lseek(descriptor, position, os.SEEK_SET)

    def read_into(self, descriptor: int, buffer: memoryview) -> int:
        """
        Read some bytes into a buffer and return their number; 0 only at the end of the file.
        """
        return os.readv(descriptor, [buffer])

    def is_cached(self, descriptor: int) -> bool:
        """
        Return whether the page cache holds the beginning of a file; true if that cannot be determined.
        """
        try:
            return os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT) >= 0
        except BlockingIOError:
            return False
        except OSError:
            return True

    def read_ahead(self, descriptor: int, start: int, size_bytes: int) -> None:
        """
        Start reading a part of a file into the page cache, without waiting for it.
        """
        os.posix_fadvise(descriptor, start, size_bytes, os.POSIX_FADV_WILLNEED)

    def drop_cached(self, descriptor: int, start: int, size_bytes: int) -> None:
        """
        Drop a part of a file from the page cache, except for pages that are still to be written.
        """
        os.posix_fadvise(descriptor, start, size_bytes, os.POSIX_FADV_DONTNEED)

    def write(self, descriptor: int, data: memoryview) -> int:
        """
        Write some of the data and return the number of bytes written.
        """
        return self.space.retrying(lambda: os.write(descriptor, data), descriptor)

    def write_at(self, descriptor: int, data: bytes, start: int) -> int:
        """
        Overwrite a part of a file with some of the data and return the number of bytes written.
        """
        return self.space.retrying(lambda: os.pwrite(descriptor, data, start), descriptor)

    def read_at(self, descriptor: int, size_bytes: int, start: int) -> bytes:
        """
        Read up to a number of bytes from a position in a file.
        """
        return os.pread(descriptor, size_bytes, start)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """
        Cut off the end of a file.
        """
        os.ftruncate(descriptor, size_bytes)

    def start_writeback(self, descriptor: int, start: int, size_bytes: int) -> None:
        """
        Start writing a part of a file to disk, without waiting for it, so that a later sync is shorter.

        This makes nothing durable.  It never raises: the later sync reports any error, because this call does not mark
        errors as reported (``sync_file_range``: https://man7.org/linux/man-pages/man2/sync_file_range.2.html).
        """
        if _sync_file_range is not None:
            _sync_file_range(descriptor, start, size_bytes, _SYNC_FILE_RANGE_WRITE)

    def fsync(self, descriptor: int) -> None:
        """
        Sync a file or a folder.
        """
        self._timed(os.fsync, descriptor)

    def sync_data(self, descriptor: int) -> None:
        """
        Sync a file's data, without metadata that is not needed to read it.
        """
        self._timed(os.fdatasync, descriptor)

    def _timed(self, sync: Callable[[int], None], descriptor: int) -> None:
        began = self.seconds()
        self.space.freeing(lambda: sync(descriptor), descriptor)
        if self.synced is not None:
            self.synced(self.seconds() - began)

    def fstat(self, descriptor: int) -> os.stat_result:
        """
        Return the status of an open file or folder.
        """
        return os.fstat(descriptor)

    def stat(self, path: str) -> os.stat_result:
        """
        Return the status of a path, following links.
        """
        name, folder = _at(path)
        return os.stat(name, dir_fd=folder)

    def lstat(self, path: str) -> os.stat_result:
        """
        Return the status of a path, without following a link at its end.
        """
        name, folder = _at(path)
        return os.lstat(name, dir_fd=folder)

    def rename(self, source: str, target: str) -> None:
        """
        Rename a file or a folder, replacing the target.
        """
        (old, old_folder), (new, new_folder) = _at(source), _at(target)
        self.space.retrying(lambda: os.rename(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder), new_folder)

    def rename_noreplace(self, source: str, target: str) -> None:
        """
        Rename a file or a folder to a name that does not exist yet (``RENAME_NOREPLACE`` of ``renameat2``:
        https://man7.org/linux/man-pages/man2/rename.2.html).

        Raises:
            FileExistsError: the target exists.
            OSError: ``EINVAL`` or ``ENOSYS`` if the system or the file system does not support this.
        """
        if _renameat2 is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        (old, old_folder), (new, new_folder) = _at(source), _at(target)
        if old_folder is None or new_folder is None:
            old_folder = new_folder = _AT_FDCWD  # both paths are complete
            old, new = source, target
        space_folder = None if new_folder == _AT_FDCWD else new_folder
        self.space.retrying(partial(_rename_noreplace, old_folder, old, new_folder, new), space_folder)

    def mkdir(self, path: str) -> None:
        """
        Create a folder that is accessible to the process's user only, whatever the umask.
        """
        name, folder = _at(path)
        self.space.retrying(lambda: os.mkdir(name, 0o700, dir_fd=folder), folder)

    def link(self, source: str, target: str) -> None:
        """
        Add a name to a file.  The name must not exist yet.
        """
        (old, old_folder), (new, new_folder) = _at(source), _at(target)
        self.space.retrying(
            lambda: os.link(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder, follow_symlinks=False), new_folder
        )

    def rmdir(self, path: str) -> None:
        """
        Remove an empty folder.
        """
        name, folder = _at(path)
        os.rmdir(name, dir_fd=folder)

    def unlink(self, path: str) -> None:
        """
        Remove a file or a link.
        """
        name, folder = _at(path)
        os.unlink(name, dir_fd=folder)

    def listdir(self, path: str) -> list[str]:
        """
        Return the names in a folder.
        """
        with self._open_to_list(path) as descriptor:
            return os.listdir(descriptor)

    def scandir(self, path: str) -> list[DirEntry]:
        """
        Return the entries of a folder.
        """
        with self._open_to_list(path) as descriptor, os.scandir(descriptor) as entries:
            return [DirEntry(entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink()) for entry in entries]

    @contextmanager
    def _open_to_list(self, path: str) -> Iterator[int]:
        # A separate descriptor, because the position in a folder belongs to the descriptor, and threads may share it.
        name, folder = _at(path)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if folder is None else os.O_NOFOLLOW)
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def claim_path(self, path: str) -> int | None:
        """
        Claim a path for this process; see ``claim_path`` below.

        Returns:
            a descriptor; ``None`` if paths cannot be claimed here.

        Raises:
            BlockingIOError: another process holds the claim.
        """
        try:
            return claim_path(path)
        except BlockingIOError:
            raise
        except OSError:
            return None

    def boot_id(self) -> str:
        """
        Return an id of the time since the machine was started; empty if it cannot be determined.
        """
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""

    def is_local(self, descriptor: int) -> bool:
        """
        Return whether an open file is on a file system that no other machine can use at the same time; false if that
        cannot be determined.
        """
        mount = str(self.mount_of(descriptor))
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                lines = [line.split() for line in file]
        except OSError:
            return False
        return any(line[0] == mount and line[line.index("-") + 1] in _LOCAL for line in lines)

    def mount_of(self, descriptor: int) -> int:
        """
        Return the id of the mount that holds an open file; 0 if it cannot be determined.
        """
        try:
            with open(f"/proc/self/fdinfo/{descriptor}", "rb", buffering=0) as file:
                found = _MOUNT_ID.search(file.read())
        except OSError:
            return 0
        return int(found[1]) if found else 0

    def flock(self, descriptor: int) -> None:
        """
        Lock an open file for this process, until the descriptor is closed.

        Raises:
            BlockingIOError: another process holds the lock.
        """
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def lock_byte(self, descriptor: int, position: int) -> None:
        """
        Lock a byte of a file for this process, until the descriptor is closed (an open file description lock:
        https://man7.org/linux/man-pages/man2/fcntl_locking.2.html).

        Raises:
            BlockingIOError: another process holds the lock.
            OSError: ``ENOSYS`` if the system has no such locks.
        """
        if not hasattr(fcntl, "F_OFD_SETLK"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        lock = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, position, 1, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)


_log = Logger()


def close_quietly(system: System, descriptor: int) -> None:
    """
    Close a descriptor that has no unsynced data.  Never raises.
    """
    try:
        system.close(descriptor)
    except OSError as error:
        _log.warn("closing a descriptor failed: {reason}; check the disk", reason=reason_of(error))


def exists(system: System, path: str) -> bool:
    """
    Return whether a path exists, following links.

    Raises:
        OSError: this cannot be determined.
    """
    return _is_present(system.stat, path)


def lexists(system: System, path: str) -> bool:
    """
    Return whether a path exists, even as a broken link.

    Raises:
        OSError: this cannot be determined.
    """
    return _is_present(system.lstat, path)


def _is_present(status: Callable[[str], object], path: str) -> bool:
    try:
        status(path)
    except OSError as error:
        if not is_absent(error):
            raise
        return False
    return True


_CREDENTIALS = struct.Struct("3i")


def claim_path(path: str) -> int:
    """
    Claim a path for this process, even if the folder at the path is replaced later.

    A lock belongs to a folder.  If that folder is removed or unmounted, a second daemon finds another folder at the
    same path, locks it, and gives out the same numbers.  So a daemon also claims the path, with a socket of an
    abstract name (https://man7.org/linux/man-pages/man7/unix.7.html): it is on no file system and ends with the
    process.  All processes that see the same files share these names.

    Returns:
        a descriptor; closing it releases the claim.

    Raises:
        BlockingIOError: another process of this user or of root holds the claim.
        OSError: paths cannot be claimed here.
    """
    name = _socket_name(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(name)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE and _socket_owner(name) in (0, os.geteuid()):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
        raise
    return listener.detach()


def _socket_name(path: str) -> bytes:
    # The same path leads elsewhere in another container or under another root.
    top = os.stat("/")
    view = f"{os.readlink('/proc/self/ns/mnt')} {top.st_dev} {top.st_ino} {os.path.realpath(path)}"
    return b"\0twisted-registry-archive-" + hashlib.sha256(os.fsencode(view)).hexdigest().encode()


def _socket_owner(name: bytes) -> int | None:
    # Any user can bind such a name, so the caller ignores names bound by other users.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(name)
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    _, user, _ = _CREDENTIALS.unpack(credentials)
    return int(user)
