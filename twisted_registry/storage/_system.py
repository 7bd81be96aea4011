"""
The operating system, as far as the archive needs it.
"""

import ctypes
import fcntl
import os
from collections.abc import Callable
from typing import Any

_SYNC_FILE_RANGE_WRITE = 2


def _find_sync_file_range() -> Callable[..., int] | None:
    """
    Give C{sync_file_range(2)}, which Python does not have; C{None} where there is none.
    """
    try:
        function: Any = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return function  # type: ignore[no-any-return]  # what ctypes gives is of no type


_sync_file_range = _find_sync_file_range()


class System:
    """
    Every call the archive makes to the operating system, and no other.

    The archive is given one of these, so that a test can put another in its place that fails, or dies, where it is told
    to.  All methods raise C{OSError}.
    """

    def open(self, path: str, flags: int) -> int:
        """
        Open a file or a folder; what is created has the permissions that the process's umask leaves.
        """
        return os.open(path, flags | os.O_CLOEXEC, 0o666)

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

    def is_in_memory(self, descriptor: int) -> bool:
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

    def let_go(self, descriptor: int, start: int, size_bytes: int) -> None:
        """
        Have a part of a file leave the system's memory, where nothing there waits to be written.
        """
        os.posix_fadvise(descriptor, start, size_bytes, os.POSIX_FADV_DONTNEED)

    def write(self, descriptor: int, data: memoryview) -> int:
        """
        Write some of the data, and say how much.
        """
        return os.write(descriptor, data)

    def start_writing(self, descriptor: int, start: int, size_bytes: int) -> None:
        """
        Have the disk begin to write a part of a file, and do not wait for it: a later sync is so much the shorter.  It
        brings nothing to rest.  Never raises: what goes wrong here the sync tells of, for of this call the system keeps
        no record of errors told (C{sync_file_range}: U{https://man7.org/linux/man-pages/man2/sync_file_range.2.html}).
        """
        if _sync_file_range is not None:
            _sync_file_range(descriptor, start, size_bytes, _SYNC_FILE_RANGE_WRITE)

    def fsync(self, descriptor: int) -> None:
        """
        Bring a file or a folder to rest.
        """
        os.fsync(descriptor)

    def fstat(self, descriptor: int) -> os.stat_result:
        """
        Tell of what was opened.
        """
        return os.fstat(descriptor)

    def stat(self, path: str) -> os.stat_result:
        """
        Tell of what is found at the end of a path and its links.
        """
        return os.stat(path)

    def lstat(self, path: str) -> os.stat_result:
        """
        Tell of what has this very name.
        """
        return os.lstat(path)

    def rename(self, source: str, target: str) -> None:
        """
        Give something another name, in place of what had it.
        """
        os.rename(source, target)

    def mkdir(self, path: str) -> None:
        """
        Make a folder.
        """
        os.mkdir(path)

    def link(self, source: str, target: str) -> None:
        """
        Give a file a second name.
        """
        os.link(source, target)

    def rmdir(self, path: str) -> None:
        """
        Remove an empty folder.
        """
        os.rmdir(path)

    def unlink(self, path: str) -> None:
        """
        Remove a file, or a link.
        """
        os.unlink(path)

    def listdir(self, path: str) -> list[str]:
        """
        Give the names in a folder.
        """
        return os.listdir(path)

    def scandir(self, path: str) -> list[os.DirEntry[str]]:
        """
        Give the entries of a folder, which know what kind each is.
        """
        with os.scandir(path) as entries:
            return list(entries)

    def flock(self, descriptor: int) -> None:
        """
        Lock what was opened for this process alone, until it is closed.

        @raise BlockingIOError: another has it.
        """
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
