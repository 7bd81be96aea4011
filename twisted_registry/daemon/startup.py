"""
What the daemon shares with whoever started it: how a start that fails is told, and the streams it was given.
"""

import atexit
import os
import signal
import stat
from contextlib import suppress

from twisted_registry.daemon.log_queue import writable

COMMAND = "twistd model-registry"
"""The command, as lines on the terminal begin with it."""

_SAY_SECONDS = 2.0
"""How long a start that fails waits for a terminal that is held, or for a pipe that nobody reads."""


class StartFailure(SystemExit, Exception):
    """
    Ends a start.

    In the foreground twistd lets a ``SystemExit`` pass, and prints a page of traceback for anything else.  In the
    background it hands nothing but an ``Exception`` on to the process that waits, which a ``SystemExit`` would leave
    waiting.  So this is both.
    """

    def __init__(self, reason: str, status: int = 1) -> None:
        super().__init__(reason)
        self.code = status


class Terminal:
    """
    The standard error of whoever starts the daemon.

    Twistd takes it away: its log swallows what is written there, and in the background it is closed.
    """

    def __init__(self, standard_error: int = 2, wait_seconds: float = _SAY_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        try:
            self._descriptor: int | None = os.dup(standard_error)
        except OSError:  # started without one
            self._descriptor = None

    def report(self, line: str) -> None:
        """
        Write a line, if there is anyone to read it.
        """
        if self._descriptor is not None and writable(self._descriptor, self._wait_seconds):
            with suppress(OSError):  # whoever started it is gone
                os.write(self._descriptor, f"{line}\n".encode(errors="replace"))

    def close(self) -> None:
        """
        Let go: a daemon that keeps its starter's pipe open keeps its starter waiting.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def hold_closed_streams() -> None:
    """
    Open /dev/null in the place of streams that the starter closed.

    Else the next file that is opened has the number of stderr, and gets what C libraries print.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def ignore_at_exit(*numbers: int) -> None:
    """
    Have signals ignored once the interpreter ends.

    It gives back those that a program handles to the system, which ends the process on the spot, and with a status that
    looks like a failure.  Those that are ignored it leaves alone.
    """
    for number in numbers:
        atexit.register(signal.signal, number, signal.SIG_IGN)


def unblock(descriptor: int) -> None:
    """
    Have what is written to a pipe, a terminal or a socket never wait for its reader.

    C libraries print to stderr from threads of their own: gRPC would stand still.  What has no room is lost.
    """
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:  # started without one
        return
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        with suppress(OSError):
            # Opened again, so that it does not change for others who have the same one, such as a shell.
            opened = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            os.dup2(opened, descriptor)
            os.close(opened)
            return
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        os.set_blocking(descriptor, False)
