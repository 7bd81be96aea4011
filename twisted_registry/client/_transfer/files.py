"""
Atomic replacement of a file.

The data is written to a file without a name where the file system has such (O_TMPFILE): a process that is killed leaves
nothing behind.  Elsewhere the file has a temporary name and is locked, and the next replacement of the same file
removes those that nobody has locked.
"""

import errno
import fcntl
import os
import re
import secrets
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from twisted_registry.client._transfer.permissions import Permissions
from twisted_registry.client._transfer.threads import in_thread

_MOST_NAME_CHARACTERS = 60
"""Of the file's name in the temporary one: whatever the script, that stays within the 255 bytes of a name."""

_UNNAMED = getattr(os, "O_TMPFILE", 0)
_PATH_ONLY = getattr(os, "O_PATH", os.O_RDONLY)
_DESCRIPTORS = "/proc/self/fd"


@asynccontextmanager
async def replaced_whole(path: Path, size_bytes: int = 0) -> AsyncIterator[BinaryIO]:
    """
    Write a file that replaces another one, synced, where the context ends without an error.

    It keeps the mode and, where it can, the owner of the file that was there.

    Args:
        path: the file; one that is there already is replaced, and so is a link, not what it leads to.
        size_bytes: how large it will be.

    Raises:
        OSError: it cannot be written, or there is no room for it; or what is there cannot be replaced, such as a
            folder, a device, a pipe or a mount point.
    """
    check_replaceable(path)
    await in_thread(_remove_abandoned, path)
    # Not in a thread: where this is cancelled, the thread would yet make the file.
    replacement = _Replacement(path, size_bytes)
    try:
        yield replacement.file
        await in_thread(replacement.commit)
    except BaseException:
        replacement.discard()
        raise


def check_replaceable(path: Path) -> None:
    """
    Check that another file can be renamed over a file, or to its name where there is none.

    Raises:
        OSError: it cannot; the text says what to do.
    """
    try:
        folder = path.parent.stat()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "its folder is not there: make it first", str(path)) from None
    if not stat.S_ISDIR(folder.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "what should be its folder is a file: name another place", str(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder; name a file", str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file, and cannot be replaced whole", str(path))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        reason = "no file can be made in its folder, which is read-only or not yours to write: name another place"
        raise PermissionError(errno.EACCES, reason, str(path))
    with suppress(FileNotFoundError):
        _check_present(path, folder)


def _check_present(path: Path, folder: os.stat_result) -> None:
    user_id = os.geteuid()
    if folder.st_mode & stat.S_ISVTX and user_id not in (0, folder.st_uid, path.lstat().st_uid):
        reason = "it is another user's, and its folder lets only owners replace their files: name another place"
        raise PermissionError(errno.EPERM, reason, str(path))
    if _mount(path, os.O_NOFOLLOW) != _mount(path.parent):
        raise _mount_point(path)


def _mount_point(path: Path) -> OSError:
    reason = "it is a mount point, and cannot be replaced: mount its folder instead, or name another file and copy it"
    return OSError(errno.EBUSY, reason, str(path))


def _mount(path: Path, flags: int = 0) -> str | None:
    """
    Return the id of the mount that a file is on; ``None`` where the system has none.  A bind mount may have the same
    device as what it covers.
    """
    if not os.path.isdir(_DESCRIPTORS):
        return None
    descriptor = os.open(path, _PATH_ONLY | flags)
    try:
        found = re.search(r"^mnt_id:\s*(\d+)$", Path(f"/proc/self/fdinfo/{descriptor}").read_text(), re.MULTILINE)
    finally:
        os.close(descriptor)
    return found and found[1]


def _temporary_stem(name: str) -> str:
    return f".{name[:_MOST_NAME_CHARACTERS]}."


def _remove_abandoned(path: Path) -> None:
    """
    Remove the temporary files of processes that were killed while they replaced a file.
    """
    temporary = re.compile(rf"{re.escape(_temporary_stem(path.name))}[0-9a-f]{{8}}\.part", re.DOTALL)
    with suppress(OSError):  # a folder that cannot be listed can still be written
        for name in os.listdir(path.parent):
            if temporary.fullmatch(name):
                _remove_unlocked(path.with_name(name))


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError):  # it is locked, another user's, or gone
        # For writing: NFS locks no other.
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.path.samestat(os.fstat(descriptor), path.lstat()):
                path.unlink()
        finally:
            os.close(descriptor)


class _Replacement:
    """
    A file that is being written, to replace another.

    It belongs to whoever begins first: ``commit``, which works in a thread, or ``discard``.

    Attributes:
        file: the file to write.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._temporary: str | None = None
        self._mutex = threading.Lock()
        self._has_begun = False
        self._is_discarded = False
        self._permissions = Permissions.of(path)
        self._folder = os.open(path.parent, _PATH_ONLY | os.O_DIRECTORY)
        try:
            self._check_room(size_bytes)
            descriptor = self._open_unnamed()
            self.file: BinaryIO = os.fdopen(self._open_named() if descriptor is None else descriptor, "wb")
        except BaseException:
            os.close(self._folder)
            raise

    def commit(self) -> None:
        """
        Sync it, and give it the name of the file that it replaces.

        Raises:
            OSError: it was not replaced.
        """
        with self._mutex:
            if self._is_discarded:
                return
            self._has_begun = True
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            if self._permissions is not None:
                self._permissions.give(self.file.fileno())
            with self._mutex:
                if not self._is_discarded:
                    self._rename()
        finally:
            with self._mutex:
                self._close()

    def discard(self) -> None:
        """
        Forget it.  Once this has returned, the other file is replaced already or will not be.
        """
        with self._mutex:
            self._is_discarded = True
            if self._has_begun:
                self._unlink()
            else:
                self._close()

    def _check_room(self, size_bytes: int) -> None:
        system = os.fstatvfs(self._folder)
        free_bytes = system.f_frsize * (system.f_bavail if os.geteuid() else system.f_bfree)
        # Some file systems do not tell how large they are.
        if system.f_blocks and size_bytes > free_bytes:
            reason = (
                f"it takes {size_bytes:,} bytes, and {free_bytes:,} are free there: make room, or name another place"
            )
            raise OSError(errno.ENOSPC, reason, str(self._path))

    @property
    def _mode(self) -> int:
        # What replaces a private file must not be readable before it has that file's mode.
        return 0o666 if self._permissions is None else 0o600

    def _open_unnamed(self) -> int | None:
        if not _UNNAMED or not os.path.isdir(_DESCRIPTORS):
            return None
        try:
            descriptor = os.open(".", _UNNAMED | os.O_WRONLY, self._mode, dir_fd=self._folder)
        except OSError:
            return None  # not every file system has them; where it is something else, a named one fails as well
        _lock(descriptor)
        return descriptor

    def _open_named(self) -> int:
        while True:
            name = self._new_name()
            descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, self._mode, dir_fd=self._folder)
            _lock(descriptor)
            if os.fstat(descriptor).st_nlink:
                self._temporary = name
                return descriptor
            os.close(descriptor)  # another process removed it before it was locked

    def _new_name(self) -> str:
        return f"{_temporary_stem(self._path.name)}{secrets.token_hex(4)}.part"

    def _rename(self) -> None:
        if self._temporary is None:
            name = self._new_name()
            # Only linkat(2) follows the link to the file, and Python takes it where a folder is given.
            os.link(f"{_DESCRIPTORS}/{self.file.fileno()}", name, dst_dir_fd=self._folder, follow_symlinks=True)
            self._temporary = name
        try:
            os.replace(self._temporary, self._path.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise _mount_point(self._path) from None
            raise
        self._temporary = None

    def _unlink(self) -> None:
        if self._temporary is not None:
            with suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._folder)
            self._temporary = None

    def _close(self) -> None:
        self._unlink()
        with suppress(OSError):  # on a full disk it tries once more to write, and fails
            self.file.close()
        os.close(self._folder)


def _lock(descriptor: int) -> None:
    with suppress(OSError):  # without locks nothing is removed
        fcntl.flock(descriptor, fcntl.LOCK_EX)
