"""
What several parts of the archive ask of the operating system in the same way.
"""

from twisted.logger import Logger

from twisted_registry.storage.filesystem.failures import is_absent, reason_of
from twisted_registry.storage.filesystem.system import System

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
