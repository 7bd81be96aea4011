"""
Removing files and whole folders, without ever leaving them: no link is followed, no mount entered.
"""

import errno
import os
from stat import S_ISDIR

from twisted_registry.storage.filesystem.failures import is_absent
from twisted_registry.storage.filesystem.pinned_directory import open_folder
from twisted_registry.storage.filesystem.system import Entry, Folder, System, within


def remove(system: System, path: str) -> None:
    """
    Remove a file, a link or a whole folder, if it is there.

    Raises:
        OSError: something is left; ``EXDEV`` where it is on another mount.
    """
    try:
        if S_ISDIR(system.lstat(path).st_mode):
            _remove_folder(system, path)
        else:
            system.unlink(path)
    except OSError as error:
        if not is_absent(error):
            raise


def _remove_folder(system: System, path: str) -> None:
    with open_folder(system, path) as folder:
        if isinstance(path, Entry) and not is_same_mount(system, path.folder.descriptor, folder.descriptor):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        empty(system, folder)
    system.rmdir(path)


def empty(system: System, folder: Folder, keep: str = "") -> None:
    """
    Remove all that is in a folder.

    Args:
        keep: a name that stays.

    Raises:
        OSError: something is left.
    """
    for entry in system.scandir(folder):
        if entry.is_folder:
            _remove_folder(system, within(folder, entry.name))
        elif entry.name != keep:
            system.unlink(within(folder, entry.name))


def is_same_mount(system: System, outer: int, inner: int) -> bool:
    """
    Tell whether two open folders are on one mount: the same device, and not mounted over from elsewhere on it.

    Raises:
        OSError: that cannot be told.
    """
    if system.fstat(outer).st_dev != system.fstat(inner).st_dev:
        return False
    return system.mount_of(outer) == system.mount_of(inner)
