"""
Atomic replacement of a file.

If the file system supports it, the data is written to a file without a name (O_TMPFILE), which disappears if the
process is killed.  Otherwise the file has a temporary name and is locked, and the next replacement of the same file
removes temporary files that are not locked.

A large file whose SHA-256 is known is written to a part file instead, which stays if the replacement fails.
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

from twisted_registry.client._transfer import part_file
from twisted_registry.client._transfer.permissions import Permissions
from twisted_registry.client._transfer.threads import in_thread
from twisted_registry.client.errors import BadReply, CorruptVersion, UnknownModel, UnknownVersion

_MOST_NAME_CHARACTERS = 60
"""How much of the file's name the temporary name has: in any script, that fits in the 255 bytes of a name."""

_FINAL = (OSError, UnknownModel, UnknownVersion, CorruptVersion, BadReply)
"""Errors after which a part file is of no use, or is better removed, such as on a full disk."""

_UNNAMED = getattr(os, "O_TMPFILE", 0)
_PATH_ONLY = getattr(os, "O_PATH", os.O_RDONLY)
_DESCRIPTORS = "/proc/self/fd"


@asynccontextmanager
async def replaced_whole(path: Path, size_bytes: int = 0, sha256: str = "") -> AsyncIterator[BinaryIO]:
    """
    Write a new file, and let it replace another one when the context ends without an error.  It is synced first.

    The new file has the mode and, if possible, the owner of the old one.

    If the file is large and its SHA-256 is given, the context may begin with a part of it that an earlier attempt has
    kept: the file's position is then behind that part.  It is kept again if the context is cancelled, or ends with an
    error for which the same data can arrive later.

    Args:
        path: the file to replace; if it is a link, the link itself is replaced, not its target.
        size_bytes: the size of the new file, in bytes.
        sha256: the SHA-256 of the new file, in base64; empty if it is not known.

    Raises:
        OSError: the file cannot be written, or its disk has too little space; or the path cannot be replaced, such as a
            folder, a device, a pipe or a mount point.
    """
    check_replaceable(path)
    part = part_file.part_name(path.name, sha256) if sha256 and size_bytes >= part_file.LEAST_BYTES else ""
    await in_thread(_remove_abandoned, path, part)
    # No thread is used: if this were cancelled, the thread would still create the file.
    replacement = _Replacement(path, size_bytes, part)
    try:
        yield replacement.file
        await in_thread(replacement.commit)
    except BaseException as error:
        replacement.discard(keeps_part=not isinstance(error, _FINAL))
        raise


def check_replaceable(path: Path) -> None:
    """
    Check that a file can be renamed to a path.

    Raises:
        OSError: it cannot; the text says what to do.
    """
    try:
        folder = path.parent.stat()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist: create it first", str(path)) from None
    if not stat.S_ISDIR(folder.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "its folder is a file: choose another path", str(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder: choose a file", str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file, and cannot be replaced", str(path))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        reason = "no file can be created in its folder, which is read-only or not writable for you: choose another path"
        raise PermissionError(errno.EACCES, reason, str(path))
    with suppress(FileNotFoundError):
        _check_present(path, folder)


def _check_present(path: Path, folder: os.stat_result) -> None:
    user_id = os.geteuid()
    if folder.st_mode & stat.S_ISVTX and user_id not in (0, folder.st_uid, path.lstat().st_uid):
        reason = "it belongs to another user, and in its folder only owners can replace files: choose another path"
        raise PermissionError(errno.EPERM, reason, str(path))
    if _mount(path, os.O_NOFOLLOW) != _mount(path.parent):
        raise _mount_point(path)


def _mount_point(path: Path) -> OSError:
    reason = "it is a mount point, and cannot be replaced: mount its folder instead, or choose another path and copy it"
    return OSError(errno.EBUSY, reason, str(path))


def _mount(path: Path, flags: int = 0) -> str | None:
    """
    Return the id of the mount that a file is on; ``None`` if the system has no such ids.  The device is not enough: a
    bind mount may have the same device as the file below it.
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


def _remove_abandoned(path: Path, kept: str) -> None:
    """
    Remove the temporary files that killed processes left behind, and all part files but one.
    """
    temporary = re.compile(rf"{re.escape(_temporary_stem(path.name))}[0-9a-f]{{8}}\.part", re.DOTALL)
    parts = part_file.part_names(path.name)
    with suppress(OSError):  # a folder that cannot be listed may still be writable
        for name in os.listdir(path.parent):
            if name != kept and (temporary.fullmatch(name) or parts.fullmatch(name)):
                _remove_unlocked(path.with_name(name))


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError):  # it is locked, belongs to another user, or is gone
        # It is opened for writing, because NFS does not lock files opened for reading.
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.path.samestat(os.fstat(descriptor), path.lstat()):
                path.unlink()
        finally:
            os.close(descriptor)


class _Replacement:
    """
    A new file that replaces another one.

    ``commit``, which runs in a thread, and ``discard`` exclude each other: the first to start wins.

    Attributes:
        file: the file to write.
    """

    def __init__(self, path: Path, size_bytes: int, part: str) -> None:
        self._path = path
        self._temporary: str | None = None
        self._has_part = False
        self._mutex = threading.Lock()
        self._has_started = False
        self._is_discarded = False
        self._permissions = Permissions.of(path)
        self._folder = os.open(path.parent, _PATH_ONLY | os.O_DIRECTORY)
        try:
            self.file: BinaryIO = self._opened_part(part, size_bytes) if part else self._opened(size_bytes)
        except BaseException:
            os.close(self._folder)
            raise

    def commit(self) -> None:
        """
        Sync the file, and rename it to the path.

        Raises:
            OSError: the file at the path was not replaced.
        """
        with self._mutex:
            if self._is_discarded:
                return
            self._has_started = True
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            if self._permissions is not None:
                self._permissions.apply(self.file.fileno())
            with self._mutex:
                if not self._is_discarded:
                    self._rename()
        finally:
            with self._mutex:
                self._close()

    def discard(self, keeps_part: bool = False) -> None:
        """
        Delete the new file, unless it was already renamed.  After this returns, it is never renamed.

        Args:
            keeps_part: whether a part file stays, if it is worth it.
        """
        with self._mutex:
            self._is_discarded = True
            if keeps_part and self._is_part_worth_keeping():
                self._temporary = None
            if self._has_started:
                self._unlink()
            else:
                self._close()

    def _is_part_worth_keeping(self) -> bool:
        # A commit that has ended has closed the file.
        return self._has_part and not self.file.closed and part_file.is_worth_keeping(self.file.fileno())

    def _opened(self, size_bytes: int) -> BinaryIO:
        self._check_space(size_bytes)
        descriptor = self._open_unnamed()
        return os.fdopen(self._open_named() if descriptor is None else descriptor, "wb")

    def _opened_part(self, name: str, size_bytes: int) -> BinaryIO:
        descriptor = part_file.open_part(name, self._folder, self._mode, size_bytes)
        if descriptor is None:
            return self._opened(size_bytes)
        file = os.fdopen(descriptor, "r+b")
        try:
            self._check_space(size_bytes - file.tell())
            if self._permissions is not None:
                os.fchmod(descriptor, self._mode)  # it may be older than the file that it replaces
        except BaseException:
            file.close()
            raise
        self._temporary, self._has_part = name, True
        return file

    def _check_space(self, size_bytes: int) -> None:
        system = os.fstatvfs(self._folder)
        free_bytes = system.f_frsize * (system.f_bavail if os.geteuid() else system.f_bfree)
        # Some file systems do not report their size.
        if system.f_blocks and size_bytes > free_bytes:
            reason = (
                f"it takes {size_bytes:,} bytes, and {free_bytes:,} are free: free some space, or choose another path"
            )
            raise OSError(errno.ENOSPC, reason, str(self._path))

    @property
    def _mode(self) -> int:
        # The replacement of a private file must not be readable before it has that file's mode.
        return 0o666 if self._permissions is None else 0o600

    def _open_unnamed(self) -> int | None:
        if not _UNNAMED or not os.path.isdir(_DESCRIPTORS):
            return None
        try:
            descriptor = os.open(".", _UNNAMED | os.O_WRONLY, self._mode, dir_fd=self._folder)
        except OSError:
            return None  # not supported; after any other error, the named file fails as well
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
            # Only linkat(2) follows the link to the file, and Python uses it if a folder is given.
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
        with suppress(OSError):  # on a full disk, another write fails
            self.file.close()
        os.close(self._folder)


def _lock(descriptor: int) -> None:
    with suppress(OSError):  # if locking fails, nothing is removed
        fcntl.flock(descriptor, fcntl.LOCK_EX)
