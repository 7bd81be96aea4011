"""
The lock of an archive: one process at a time changes it.
"""

import os

from attrs import define

from twisted_registry.storage.filesystem.calls import close_quietly
from twisted_registry.storage.filesystem.failures import reason_of
from twisted_registry.storage.filesystem.system import System


@define
class LockFailed(Exception):
    """
    The lock cannot be had.  Does not leave the storage: what was to be done under it, the caller knows.

    Attributes:
        reason: a line for people.
    """

    reason: str


def take_lock(system: System, root: str) -> int:
    """
    Take the lock: of the archive's folder itself, not of a file in it, so that it can also be had where nothing can be
    written.

    Returns:
        a descriptor; closing it lets go.

    Raises:
        LockFailed: another process has it, or the folder cannot be used.
    """
    try:
        descriptor = system.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LockFailed(f"the archive's directory {root!r} cannot be used: {reason_of(error)}") from error
    try:
        _lock(system, root, descriptor)
    except BaseException:
        close_quietly(system, descriptor)
        raise
    return descriptor


def in_use(root: str) -> LockFailed:
    """
    Return the error for an archive that another process has.
    """
    return LockFailed(
        f"the archive's directory {root!r} is in use by another process; stop that one, or choose another"
    )


def _lock(system: System, root: str, descriptor: int) -> None:
    try:
        system.flock(descriptor)
        system.stat(os.path.join(root, "."))
    except BlockingIOError as error:
        raise in_use(root) from error
    except OSError as error:
        raise LockFailed(f"the archive's directory {root!r} cannot be locked or entered: {reason_of(error)}") from error
