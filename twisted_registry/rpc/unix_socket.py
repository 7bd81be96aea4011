"""
The Unix socket that clients connect to: a file with a mode and a group.
"""

import fcntl
import grp
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twisted.logger import Logger

from twisted_registry.config.network import UnixSettings
from twisted_registry.domain.errors import CannotStart, shown

_log = Logger()

_BACKLOG = 4096
"""Connections that wait to be accepted; the system may have a lower limit."""


_LOCK_ATTEMPTS = 40
_LOCK_PAUSE_SECONDS = 0.05


class UnixListener:
    """
    A listening Unix socket with its file.

    Attributes:
        socket: the socket, which does not block.
        path: its file.
    """

    def __init__(
        self, path: Path, mode: int, group: str | None = None, pause: Callable[[float], object] = time.sleep
    ) -> None:
        """
        Listen.  The file of a socket that its program no longer listens to is replaced.

        Args:
            path: the file.
            mode: its permissions; who may write to it may connect.
            group: its group, by name or number; ``None`` for that of the process.
            pause: waits for some seconds.

        Raises:
            CannotStart: it cannot be made.
        """
        self.path = path
        self._pause = pause
        gid = None if group is None else _gid(group)
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.setblocking(False)
            with _locked(path.parent, pause):
                _remove_unused(path)
                self._file = self._bind(mode, gid)
                # Until now nobody could connect, whatever the mode was.
                self.socket.listen(_BACKLOG)
        except BaseException:
            self.socket.close()
            raise

    @classmethod
    def of(cls, settings: UnixSettings) -> "UnixListener":
        """
        Listen on the socket that the settings name.

        Raises:
            CannotStart: it cannot be made.
        """
        assert settings.path is not None, "there is a socket"
        return cls(Path(settings.path), settings.file_mode, settings.group)

    def _bind(self, mode: int, gid: int | None) -> tuple[int, int]:
        try:
            self.socket.bind(str(self.path))
        except OSError as error:
            raise _cannot(self.path, error) from None
        try:
            if gid is not None:
                os.chown(self.path, -1, gid)
            self.path.chmod(mode)
            found = self.path.lstat()
        except OSError as error:
            self.path.unlink(missing_ok=True)
            advice = ""
            if isinstance(error, PermissionError) and gid is not None:
                advice = "; the user who runs the daemon must be a member of the group of --socket-group"
            raise _cannot(self.path, error, advice) from None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """
        Remove the file, if it is still that of this socket, and listen no more.
        """
        with suppress(CannotStart, OSError), _locked(self.path.parent, self._pause):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._file:
                self.path.unlink()
        self.socket.close()


class InheritedListener:
    """
    A listening Unix socket that the service manager made, and keeps while no daemon runs.

    Attributes:
        socket: the socket, which does not block.
        path: its file, which stays.
    """

    def __init__(self, path: Path, listener: socket.socket) -> None:
        self.path = path
        self.socket = listener

    def close(self) -> None:
        """
        Listen no more.  Connections wait for the next daemon.
        """
        self.socket.close()


def check_folder(path: Path) -> str:
    """
    Return what is wrong with the permissions of the directory of a socket; an empty text if nothing is.
    """
    mode = path.absolute().parent.stat().st_mode
    if mode & 0o002 and not mode & stat.S_ISVTX:
        return "every user of this machine can replace the socket, because its directory is open to all"
    return ""


@contextmanager
def _locked(folder: Path, pause: Callable[[float], object]) -> Iterator[None]:
    """
    Keep other daemons from listening in a directory meanwhile: two that find an unused file would remove each other's.

    Anyone who may read the directory can lock it, so this does not wait for long.

    Raises:
        CannotStart: the directory cannot be opened, or another program keeps it locked.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise CannotStart(
            f"--socket: there is no directory {shown(str(folder))}; create it, or let systemd do so with "
            "RuntimeDirectory="
        ) from None
    except OSError as error:
        raise CannotStart(f"--socket: the directory {shown(str(folder))} cannot be opened: {error.strerror}") from None
    try:
        if not _try_lock(descriptor, pause):
            raise CannotStart(
                f"--socket: another program keeps the directory {shown(str(folder))} locked; stop it (lslocks names "
                "it), or choose a directory that is closed to other users"
            )
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, pause: Callable[[float], object]) -> bool:
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause(_LOCK_PAUSE_SECONDS)
        else:
            return True
    return False


def _remove_unused(path: Path) -> None:
    try:
        found = path.lstat()
    except OSError:
        return  # there is none, or the bind reports why it cannot be used
    where = shown(str(path))
    if not stat.S_ISSOCK(found.st_mode):
        raise CannotStart(f"--socket: {where} exists and is not a socket; choose another path, or remove it")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                path.unlink()
            _log.info("removed the socket {path}, which a program that has ended left behind", path=path)
            return
        except BlockingIOError:
            pass  # very many clients wait there
        except OSError as error:
            raise _cannot(path, error, "; another program may use it") from None
    raise CannotStart(f"--socket: another program listens on {where}; stop it, or choose another path")


def _gid(group: str) -> int:
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise CannotStart(f"--socket-group: there is no group {shown(group)} on this machine") from None


def _cannot(path: Path, error: OSError, advice: str = "") -> CannotStart:
    return CannotStart(f"cannot listen on unix:{path}: {error.strerror or error}{advice}")
