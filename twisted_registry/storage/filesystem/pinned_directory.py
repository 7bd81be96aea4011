"""
The archive's directory, pinned by a descriptor, and safe access to what is in it: no link is ever followed.
"""

import errno
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from stat import S_ISDIR, S_ISLNK, S_ISREG, S_IWOTH

from attrs import define

from twisted_registry.domain.errors import ArchiveMoved, StorageFailure
from twisted_registry.storage.filesystem.failures import Malformed, is_absent, reason_of
from twisted_registry.storage.filesystem.metadata import MAX_METADATA_BYTES
from twisted_registry.storage.filesystem.system import Entry, Folder, System, close_quietly, within


@define
class LockFailed(Exception):
    """
    The archive's lock could not be acquired.  The storage does not let this out: the caller knows what needed the
    lock.

    Attributes:
        reason: one line for people.
    """

    reason: str


def _lock_folder(system: System, root: str) -> int:
    """
    Lock the archive's folder itself.  A lock file could not be created on a read-only medium.

    Returns:
        a descriptor; closing it releases the lock.

    Raises:
        LockFailed: another process holds the lock, or the folder cannot be used.
    """
    try:
        descriptor = system.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LockFailed(f"the archive's directory {root!r} cannot be used: {reason_of(error)}") from error
    try:
        _lock_descriptor(system, root, descriptor)
    except BaseException:
        close_quietly(system, descriptor)
        raise
    return descriptor


def in_use(root: str) -> LockFailed:
    """
    Return the error for an archive that another process uses.
    """
    return LockFailed(
        f"the archive's directory {root!r} is in use by another process; stop that one, or choose another"
    )


def _lock_descriptor(system: System, root: str, descriptor: int) -> None:
    try:
        system.flock(descriptor)
        system.stat(os.path.join(root, "."))
    except BlockingIOError as error:
        raise in_use(root) from error
    except OSError as error:
        raise LockFailed(f"the archive's directory {root!r} cannot be locked or entered: {reason_of(error)}") from error


_ELSEWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_NO_FOLDER = frozenset({errno.ENOTDIR, errno.ELOOP})


class LinkedFolder(OSError):
    """
    A link is in the place of a folder.
    """

    def __init__(self) -> None:
        super().__init__(errno.ELOOP, os.strerror(errno.ELOOP))


@contextmanager
def open_folder(system: System, path: str) -> Iterator[Folder]:
    """
    Open a folder of the archive.

    Raises:
        LinkedFolder: it is a link.
        OSError: it cannot be opened.
    """
    folder = pin_folder(system, path)
    try:
        yield folder
    finally:
        close_quietly(system, folder.descriptor)


def pin_folder(system: System, path: str) -> Folder:
    """
    Open a folder of the archive like ``open_folder``.  The caller closes its descriptor.
    """
    try:
        descriptor = system.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in _NO_FOLDER and is_link(system, path):
            raise LinkedFolder from error
        raise
    return Folder(path, descriptor)


def is_link(system: System, path: str) -> bool:
    """
    Return whether a path is a link.  Never raises.
    """
    try:
        return S_ISLNK(system.lstat(path).st_mode)
    except OSError:
        return False


def _do_nothing() -> None:
    pass


class PinnedDirectory:
    """
    The directory of an archive.  Between ``open`` and ``close`` it stays the same directory, even if its path changes;
    ``check`` verifies that the path still leads to it.

    Attributes:
        check_claim: checks that no other daemon has taken over the archive.
    """

    def __init__(self, path: str, system: System) -> None:
        self.path = path
        self.system = system
        self._folder: Folder | None = None
        self.check_claim: Callable[[], None] = _do_nothing
        self._identity = (0, 0)
        self._mode = 0

    def open(self, *, locked: bool = True) -> None:
        """
        Open the directory and lock it for this process.

        Args:
            locked: whether to lock it; not needed for reading, or if this process already holds the lock.

        Raises:
            LockFailed: another process holds the lock, or locking failed.
            OSError: the directory cannot be used.
        """
        if locked:
            descriptor = _lock_folder(self.system, self.path)
        else:
            descriptor = self.system.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            status = self.system.fstat(descriptor)
        except BaseException:
            close_quietly(self.system, descriptor)
            raise
        self._folder, self._identity = Folder(self.path, descriptor), (status.st_dev, status.st_ino)
        self._mode = status.st_mode

    def close(self) -> None:
        """
        Close the directory, which unlocks it.  Does nothing if it is not open.
        """
        folder, self._folder = self._folder, None
        if folder is not None:
            close_quietly(self.system, folder.descriptor)

    @property
    def is_open_to_others(self) -> bool:
        """
        Return whether every user of the machine could write to the directory when it was opened.
        """
        return bool(self._mode & S_IWOTH)

    @property
    def is_open(self) -> bool:
        """
        Return whether the directory is open.
        """
        return self._folder is not None

    @property
    def folder(self) -> Folder:
        """
        The open directory.

        Raises:
            StorageFailure: it is not open.
        """
        if self._folder is None:
            raise StorageFailure("the archive is closed")
        return self._folder

    def check(self) -> None:
        """
        Check that the path still leads to the open directory, which may have been renamed, removed, unmounted or
        mounted over.  Costs one ``stat``.

        Raises:
            ArchiveMoved: the path leads elsewhere or nowhere.
            StorageFailure: another daemon has taken over the archive.
            OSError: this cannot be determined.
        """
        self.check_claim()
        try:
            status = self.system.stat(self.path)
        except OSError as error:
            if error.errno not in _ELSEWHERE:
                raise
            raise ArchiveMoved("there is no directory at its path") from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise ArchiveMoved("another directory is at its path")

    @contextmanager
    def open_folder(self, name: str) -> Iterator[Folder]:
        """
        Open a folder in this directory.

        Raises:
            LinkedFolder: it is a link.
            OSError: it cannot be opened.
        """
        with open_folder(self.system, within(self.folder, name)) as folder:
            yield folder


# Without O_NONBLOCK, opening a pipe would block forever.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW

LINK = "it is a link, and links in an archive are not followed"


def open_file(system: System, path: str) -> tuple[int, int]:
    """
    Open a file for reading.

    Returns:
        its descriptor and its size in bytes.

    Raises:
        OSError: it cannot be opened.
        Malformed: it is not a regular file.
    """
    descriptor = _open(system, path)
    try:
        status = system.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            raise Malformed("it is not a regular file")
    except (OSError, Malformed):
        close_quietly(system, descriptor)
        raise
    return descriptor, status.st_size


def _open(system: System, path: str) -> int:
    try:
        return system.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP and is_link(system, path):
            raise Malformed(LINK) from error
        # Opening a socket or a missing device gives ENXIO.
        if error.errno == errno.ENXIO and not S_ISREG(system.lstat(path).st_mode):
            raise Malformed("it is not a regular file") from error
        raise


def read_metadata(system: System, path: str, most_bytes: int = MAX_METADATA_BYTES) -> bytes:
    """
    Read a small file.

    Args:
        most_bytes: the largest size in bytes that is read.

    Raises:
        OSError: it cannot be read.
        Malformed: it is not a regular file, or larger than that.
    """
    descriptor, size_bytes = open_file(system, path)
    try:
        if size_bytes > most_bytes:
            raise Malformed(f"it has {size_bytes} bytes, more than the {most_bytes} that it can have")
        # Asking for one byte more usually finds the end of the file with a single call.
        return read_up_to(system, descriptor, size_bytes + 1)
    finally:
        close_quietly(system, descriptor)


def read_up_to(system: System, descriptor: int, size_bytes: int) -> bytes:
    """
    Read as many bytes as asked for; fewer only at the end of the file.

    Raises:
        OSError: the medium failed.
    """
    first = system.read(descriptor, size_bytes)
    if not first or len(first) == size_bytes:
        return first
    pieces, missing = [first], size_bytes - len(first)
    while missing and (piece := system.read(descriptor, missing)):
        pieces.append(piece)
        missing -= len(piece)
    return first if len(pieces) == 1 else b"".join(pieces)


def remove(system: System, path: str) -> None:
    """
    Remove a file, a link or a whole folder, if it exists.  No link is followed and no mount is entered.

    Raises:
        OSError: something is left; ``EXDEV`` if it is on another mount.
    """
    for _ in removal_steps(system, path):
        pass


def removal_steps(system: System, path: str) -> Generator[None, None, None]:
    """
    Remove something like ``remove``, and pause after each name that is removed.

    Raises:
        OSError: something is left; ``EXDEV`` if it is on another mount.
    """
    try:
        if S_ISDIR(system.lstat(path).st_mode):
            yield from _folder_removal_steps(system, path)
        else:
            system.unlink(path)
    except OSError as error:
        if not is_absent(error):
            raise


def _folder_removal_steps(system: System, path: str) -> Generator[None, None, None]:
    with open_folder(system, path) as folder:
        if isinstance(path, Entry) and not is_same_mount(system, path.folder.descriptor, folder.descriptor):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        yield from emptying_steps(system, folder)
    system.rmdir(path)


def emptying_steps(system: System, folder: Folder, keep: str = "") -> Generator[None, None, None]:
    """
    Remove everything in a folder, and pause after each name that is removed.

    Args:
        keep: a name to keep.

    Raises:
        OSError: something is left.
    """
    for entry in system.scandir(folder):
        if entry.is_folder:
            yield from _folder_removal_steps(system, within(folder, entry.name))
        elif entry.name != keep:
            system.unlink(within(folder, entry.name))
        yield


def is_same_mount(system: System, outer: int, inner: int) -> bool:
    """
    Return whether two open folders are on one mount: on the same device, and reached through the same mount point.

    Raises:
        OSError: this cannot be determined.
    """
    if system.fstat(outer).st_dev != system.fstat(inner).st_dev:
        return False
    return system.mount_of(outer) == system.mount_of(inner)
