"""
The archive's own folder, held open: everything in the archive is found from its descriptor, and no link is followed.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from stat import S_ISLNK, S_IWOTH

from twisted_registry.domain.errors import ArchiveMoved, StorageFailure
from twisted_registry.storage.filesystem.calls import close_quietly
from twisted_registry.storage.filesystem.lock import take_lock
from twisted_registry.storage.filesystem.system import Folder, System, within

_ELSEWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_NO_FOLDER = frozenset({errno.ENOTDIR, errno.ELOOP})


class LinkedFolder(OSError):
    """
    What should be a folder is a link.
    """

    def __init__(self) -> None:
        super().__init__(errno.ELOOP, os.strerror(errno.ELOOP))


@contextmanager
def open_folder(system: System, path: str) -> Iterator[Folder]:
    """
    Open a folder of the archive, which is no link.

    Raises:
        LinkedFolder: it is one.
        OSError: it cannot be opened.
    """
    folder = pin_folder(system, path)
    try:
        yield folder
    finally:
        close_quietly(system, folder.descriptor)


def pin_folder(system: System, path: str) -> Folder:
    """
    Open a folder of the archive as ``open_folder`` does; the caller closes its descriptor.
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
    Tell whether a name is that of a link.  Never raises.
    """
    try:
        return S_ISLNK(system.lstat(path).st_mode)
    except OSError:
        return False


def _nothing() -> None:
    pass


class PinnedDirectory:
    """
    The folder an archive lives in.  From ``open`` to ``close`` it is the one that was opened, whatever becomes of its
    path; ``check`` tells whether the path still leads to it.

    Attributes:
        check_claim: checks, beside the path, that no other daemon has taken the archive.
    """

    def __init__(self, path: str, system: System) -> None:
        self.path = path
        self.system = system
        self._folder: Folder | None = None
        self.check_claim: Callable[[], None] = _nothing
        self._identity = (0, 0)
        self._mode = 0

    def open(self, *, locked: bool = True) -> None:
        """
        Open the folder, and lock it for this process alone.

        Args:
            locked: whether to lock it; not where this process has done so, or only reads.

        Raises:
            LockFailed: another process has it, or it cannot be locked.
            OSError: it cannot be used.
        """
        if locked:
            descriptor = take_lock(self.system, self.path)
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
        Close the folder, and so unlock it.  Does nothing where it is not held.
        """
        folder, self._folder = self._folder, None
        if folder is not None:
            close_quietly(self.system, folder.descriptor)

    @property
    def is_open_to_others(self) -> bool:
        """
        Whether every user of the machine could write to the folder when it was opened.
        """
        return bool(self._mode & S_IWOTH)

    @property
    def is_open(self) -> bool:
        """
        Whether the folder is open.
        """
        return self._folder is not None

    @property
    def folder(self) -> Folder:
        """
        The open folder.

        Raises:
            StorageFailure: it is not held.
        """
        if self._folder is None:
            raise StorageFailure("the archive is closed")
        return self._folder

    def check(self) -> None:
        """
        Check that the path leads to the folder that was opened: it may have been renamed, removed, unmounted or mounted
        over.  Costs one ``stat``.

        Raises:
            ArchiveMoved: it does not.
            StorageFailure: another daemon has taken the archive.
            OSError: that cannot be told.
        """
        self.check_claim()
        try:
            status = self.system.stat(self.path)
        except OSError as error:
            if error.errno not in _ELSEWHERE:
                raise
            raise ArchiveMoved("nothing is at its path, or no directory") from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise ArchiveMoved("another directory is at its path")

    @contextmanager
    def open_folder(self, name: str) -> Iterator[Folder]:
        """
        Open a folder in this one.

        Raises:
            LinkedFolder: it is a link.
            OSError: it cannot be opened.
        """
        with open_folder(self.system, within(self.folder, name)) as folder:
            yield folder
