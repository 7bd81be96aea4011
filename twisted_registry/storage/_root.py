"""
The archive's own folder, held open and locked.
"""

import errno

from twisted_registry.errors import ArchiveMoved
from twisted_registry.storage._calls import close_quietly
from twisted_registry.storage._failures import reading
from twisted_registry.storage._lock import take_lock
from twisted_registry.storage._system import System

_ELSEWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class Root:
    """
    The folder an archive lives in.  From L{hold} to L{release} it is the one that was opened, whatever becomes of its
    path; L{check} tells whether the path still leads to it.
    """

    def __init__(self, path: str, system: System) -> None:
        self.path = path
        self.system = system
        self._descriptor: int | None = None
        self._identity = (0, 0)

    def hold(self) -> None:
        """
        Open the folder and lock it.

        @raise NotHeld: another process has it, or it cannot be used.
        @raise OSError: it cannot be examined.
        """
        descriptor = take_lock(self.system, self.path)
        try:
            status = self.system.fstat(descriptor)
        except BaseException:
            close_quietly(self.system, descriptor)
            raise
        self._descriptor, self._identity = descriptor, (status.st_dev, status.st_ino)

    def release(self) -> None:
        """
        Close the folder and unlock it.  Does nothing where it is not held.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self.system.close(descriptor)

    def check(self) -> None:
        """
        Check that the path leads to the folder that was opened: it may have been renamed, removed, unmounted or mounted
        over.  Costs one C{stat}.

        @raise ArchiveMoved: it does not.
        @raise StorageFailure: that cannot be told.
        """
        with reading():
            try:
                status = self.system.stat(self.path)
            except OSError as error:
                if error.errno not in _ELSEWHERE:
                    raise
                raise ArchiveMoved("nothing is at its path, or no directory") from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise ArchiveMoved("another directory is at its path")
