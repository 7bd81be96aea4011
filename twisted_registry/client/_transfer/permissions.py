"""
The permissions of a file, copied to the file that replaces it.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from attrs import frozen

_ACCESS_LIST = "system.posix_acl_access"
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID


def _others_for_group(mode: int) -> int:
    """
    Return a mode that gives the group the permissions of all others.
    """
    return mode & ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3


@frozen
class Permissions:
    """
    The owner, mode and access control list of a file.
    """

    _user_id: int
    _group_id: int
    _mode: int
    _access_list: bytes | None

    @classmethod
    def of(cls, path: Path) -> "Permissions | None":
        """
        Return the permissions of a file; ``None`` if there is no file, or a link.
        """
        try:
            status = path.lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        access_list = None
        with suppress(OSError, AttributeError):  # the file has none, or the system does not support them
            access_list = os.getxattr(path, _ACCESS_LIST)
        return cls(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), access_list)

    def apply(self, descriptor: int) -> None:
        """
        Apply the permissions to an open file as far as possible, never granting more than the original did.
        """
        mode = self._mode
        if not self._apply_owner(descriptor):
            mode &= ~_SPECIAL_BITS
        if os.fstat(descriptor).st_gid != self._group_id or not self._apply_access_list(descriptor):
            mode = _others_for_group(mode)
        with suppress(OSError):  # some file systems have no modes
            os.fchmod(descriptor, mode)

    def _apply_owner(self, descriptor: int) -> bool:
        for user_id in (self._user_id, -1):
            with suppress(OSError):
                os.fchown(descriptor, user_id, self._group_id)
                break
        status = os.fstat(descriptor)
        return (status.st_uid, status.st_gid) == (self._user_id, self._group_id)

    def _apply_access_list(self, descriptor: int) -> bool:
        try:
            if self._access_list is not None:
                os.setxattr(descriptor, _ACCESS_LIST, self._access_list)
            else:
                with suppress(OSError, AttributeError):  # inherited from the folder
                    os.removexattr(descriptor, _ACCESS_LIST)
        except OSError:
            return False
        return True
