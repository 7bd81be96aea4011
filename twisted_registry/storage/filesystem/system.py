"""
The operating system, as far as the archive needs it.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from twisted.logger import Logger

from twisted_registry.storage.filesystem.failures import is_absent, reason_of

_SYNC_FILE_RANGE_WRITE = 2
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "f2fs", "zfs", "bcachefs"})


def _find_function(name: str, *types: Any) -> Callable[..., int] | None:
    """
    Return a function of the C library that Python does not have; ``None`` where there is none.
    """
    try:
        function: Any = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return None
    function.argtypes = types
    return function  # type: ignore[no-any-return]  # what ctypes gives is of no type


_sync_file_range = _find_function("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_renameat2 = _find_function("renameat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


class Folder(str):
    """
    An open folder.  As text it is its path, for logs and for systems that are simulated; the real system uses the
    descriptor alone, and so finds what was opened, whatever became of the path.
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
    A name in an open folder.  As text it is the whole path; the real system looks for the name in the folder alone.
    Must not be used after the folder is closed.
    """

    __slots__ = ("folder", "name")
    folder: Folder
    name: str

    def __new__(cls, folder: Folder, name: str) -> "Entry":
        """
        Name something in an open folder.
        """
        self = str.__new__(cls, f"{folder}/{name}")
        self.folder, self.name = folder, name
        return self


def within(folder: str, name: str) -> str:
    """
    Return the path of something in a folder: an ``Entry`` where the folder is open.
    """
    return Entry(folder, name) if isinstance(folder, Folder) else os.path.join(folder, name)


def _place(path: str) -> tuple[str, int | None]:
    """
    Return what to ask the system for: a name, and the descriptor of the folder to look for it in.
    """
    if isinstance(path, Entry):
        return path.name, path.folder.descriptor
    if isinstance(path, Folder):
        return ".", path.descriptor
    return path, None


class DirEntry(NamedTuple):
    """
    A name in a folder, and what it names: a link is never followed.
    """

    name: str
    is_folder: bool
    is_link: bool


class System:
    """
    Every call the archive makes to the operating system, and no other.

    The archive is given one of these, so that a test can put another in its place that fails, or dies, where it is told
    to.  All methods raise ``OSError``.
    """

    def open(self, path: str, flags: int) -> int:
        """
        Open a file or a folder.  What is created is for the process's own user alone, whatever the umask.
        """
        name, folder = _place(path)
        return os.open(name, flags | os.O_CLOEXEC, 0o600, dir_fd=folder)

    def close(self, descriptor: int) -> None:
        """
        Close what was opened.  The descriptor is gone, also where this fails.
        """
        os.close(descriptor)

    def read(self, descriptor: int, size_bytes: int) -> bytes:
        """
        Read some bytes, none only at the end.
        """
        return os.read(descriptor, size_bytes)

    def read_into(self, descriptor: int, buffer: memoryview) -> int:
        """
        Read some bytes to where they shall be, and say how many: none only at the end.
        """
        return os.readv(descriptor, [buffer])

    def is_cached(self, descriptor: int) -> bool:
        """
        Tell whether the beginning of a file could be read without the disk; where that cannot be told, it is so.
        """
        try:
            return os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT) >= 0
        except BlockingIOError:
            return False
        except OSError:
            return True

    def read_ahead(self, descriptor: int, start: int, size_bytes: int) -> None:
        """
        Have a part of a file read into memory, and do not wait for it.
        """
        os.posix_fadvise(descriptor, start, size_bytes, os.POSIX_FADV_WILLNEED)

    def drop_cached(self, descriptor: int, start: int, size_bytes: int) -> None:
        """
        Have a part of a file leave the system's memory, where nothing there waits to be written.
        """
        os.posix_fadvise(descriptor, start, size_bytes, os.POSIX_FADV_DONTNEED)

    def write(self, descriptor: int, data: memoryview) -> int:
        """
        Write some of the data, and say how much.
        """
        return os.write(descriptor, data)

    def write_at(self, descriptor: int, data: bytes, start: int) -> int:
        """
        Write some of the data over what is in a file, and say how much.
        """
        return os.pwrite(descriptor, data, start)

    def start_writeback(self, descriptor: int, start: int, size_bytes: int) -> None:
        """
        Have the disk begin to write a part of a file, and do not wait for it: a later sync is so much the shorter.  It
        brings nothing to rest.  Never raises: what goes wrong here the sync tells of, for of this call the system keeps
        no record of errors told (``sync_file_range``: https://man7.org/linux/man-pages/man2/sync_file_range.2.html).
        """
        if _sync_file_range is not None:
            _sync_file_range(descriptor, start, size_bytes, _SYNC_FILE_RANGE_WRITE)

    def fsync(self, descriptor: int) -> None:
        """
        Bring a file or a folder to rest.
        """
        os.fsync(descriptor)

    def sync_data(self, descriptor: int) -> None:
        """
        Bring a file's data to rest, without what is told of it beside.
        """
        os.fdatasync(descriptor)

    def fstat(self, descriptor: int) -> os.stat_result:
        """
        Tell of what was opened.
        """
        return os.fstat(descriptor)

    def stat(self, path: str) -> os.stat_result:
        """
        Tell of what is found at the end of a path and its links.
        """
        name, folder = _place(path)
        return os.stat(name, dir_fd=folder)

    def lstat(self, path: str) -> os.stat_result:
        """
        Tell of what has this very name.
        """
        name, folder = _place(path)
        return os.lstat(name, dir_fd=folder)

    def rename(self, source: str, target: str) -> None:
        """
        Give something another name, in place of what had it.
        """
        (old, old_folder), (new, new_folder) = _place(source), _place(target)
        os.rename(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder)

    def rename_noreplace(self, source: str, target: str) -> None:
        """
        Give something another name, which nothing has yet (``RENAME_NOREPLACE`` of ``renameat2``:
        https://man7.org/linux/man-pages/man2/rename.2.html).

        Raises:
            FileExistsError: something has the name.
            OSError: ``EINVAL`` or ``ENOSYS`` where the system or the file system cannot do this.
        """
        if _renameat2 is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        (old, old_folder), (new, new_folder) = _place(source), _place(target)
        if old_folder is None or new_folder is None:
            old_folder = new_folder = _AT_FDCWD  # the paths are whole
            old, new = source, target
        if _renameat2(old_folder, os.fsencode(old), new_folder, os.fsencode(new), _RENAME_NOREPLACE) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def mkdir(self, path: str) -> None:
        """
        Make a folder, for the process's own user alone, whatever the umask.
        """
        name, folder = _place(path)
        os.mkdir(name, 0o700, dir_fd=folder)

    def link(self, source: str, target: str) -> None:
        """
        Give a file a second name, which nothing has yet.
        """
        (old, old_folder), (new, new_folder) = _place(source), _place(target)
        os.link(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder, follow_symlinks=False)

    def rmdir(self, path: str) -> None:
        """
        Remove an empty folder.
        """
        name, folder = _place(path)
        os.rmdir(name, dir_fd=folder)

    def unlink(self, path: str) -> None:
        """
        Remove a file, or a link.
        """
        name, folder = _place(path)
        os.unlink(name, dir_fd=folder)

    def listdir(self, path: str) -> list[str]:
        """
        Give the names in a folder.
        """
        with self._opened_to_list(path) as descriptor:
            return os.listdir(descriptor)

    def scandir(self, path: str) -> list[DirEntry]:
        """
        Give the names in a folder, and what kind of thing has each.
        """
        with self._opened_to_list(path) as descriptor, os.scandir(descriptor) as entries:
            return [DirEntry(entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink()) for entry in entries]

    @contextmanager
    def _opened_to_list(self, path: str) -> Iterator[int]:
        # A descriptor of its own: how far a folder is read belongs to the descriptor, and threads may share a folder's.
        name, folder = _place(path)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if folder is None else os.O_NOFOLLOW)
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def claim_path(self, path: str) -> int | None:
        """
        Claim a path for this process; see ``twisted_registry.storage.filesystem.path_claim``.

        Returns:
            a descriptor; ``None`` where a path cannot be claimed.

        Raises:
            BlockingIOError: another has it.
        """
        try:
            return claim_path(path)
        except BlockingIOError:
            raise
        except OSError:
            return None

    def is_local(self, descriptor: int) -> bool:
        """
        Return whether something was opened on a file system that no other machine can use meanwhile; where that cannot
        be told, it is not.
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
        Return the number of the mount that something was opened on; 0 where that cannot be told.
        """
        try:
            with open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:
                lines = dict(line.split(b":", 1) for line in file if b":" in line)
            return int(lines[b"mnt_id"])
        except (OSError, KeyError, ValueError):
            return 0

    def flock(self, descriptor: int) -> None:
        """
        Lock what was opened for this process alone, until it is closed.

        Raises:
            BlockingIOError: another has it.
        """
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def lock_byte(self, descriptor: int, position: int) -> None:
        """
        Lock a byte of a file for this process alone, until the descriptor is closed (an open file description lock:
        https://man7.org/linux/man-pages/man2/fcntl_locking.2.html).

        Raises:
            BlockingIOError: another has it.
            OSError: ``ENOSYS`` where the system has no such locks.
        """
        if not hasattr(fcntl, "F_OFD_SETLK"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        lock = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, position, 1, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)


_log = Logger()


def close_quietly(system: System, descriptor: int) -> None:
    """
    Close a descriptor behind which nothing can be lost.  Never raises.
    """
    try:
        system.close(descriptor)
    except OSError as error:
        _log.warn("closing a descriptor failed: {reason}", reason=reason_of(error))


def exists(system: System, path: str) -> bool:
    """
    Tell whether anything has a name.

    Raises:
        OSError: that cannot be told.
    """
    try:
        system.stat(path)
    except OSError as error:
        if not is_absent(error):
            raise
        return False
    return True


def lexists(system: System, path: str) -> bool:
    """
    Tell whether anything has this very name, be it a link that leads nowhere.

    Raises:
        OSError: that cannot be told.
    """
    try:
        system.lstat(path)
    except OSError as error:
        if not is_absent(error):
            raise
        return False
    return True


_CREDENTIALS = struct.Struct("3i")


def claim_path(path: str) -> int:
    """
    Claim a path, as those processes see it that see the same files.

    Returns:
        a descriptor; closing it gives the claim up.

    Raises:
        BlockingIOError: another process of this user, or of root's, has it.
        OSError: paths cannot be claimed here.
    """
    name = _name(path)
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(name)
        claim.listen()
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE and _owner(name) in (0, os.geteuid()):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
        raise
    return claim.detach()


def _name(path: str) -> bytes:
    # The same path is another one in another container, or under another root.
    top = os.stat("/")
    seen = f"{os.readlink('/proc/self/ns/mnt')} {top.st_dev} {top.st_ino} {os.path.realpath(path)}"
    return b"\0twisted-registry-archive-" + hashlib.sha256(os.fsencode(seen)).hexdigest().encode()


def _owner(name: bytes) -> int | None:
    # Anybody may take such a name.  Whoever must not keep others from starting is passed over.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(name)
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    _, user, _ = _CREDENTIALS.unpack(credentials)
    return int(user)
