"""
The daemon's relation to the process that starts it: reports of failed starts, and standard streams.
"""

import atexit
import os
import signal
import stat
import time
from contextlib import suppress

from twisted_registry.daemon.log_queue import writable
from twisted_registry.observability.log_lines import OWN, json_line

COMMAND = "twistd model-registry"
"""The command, as lines on the terminal begin with it."""


def describe_failure(error: object, log_format: str) -> str:
    """
    Return the line about a failed start, in the format of the log.
    """
    if log_format == "json":
        return json_line(time.time(), "critical", OWN, str(error), ()).rstrip("\n")
    return f"{COMMAND}: {error}"


_REPORT_SECONDS = 2.0
"""How long a failed start waits for a stopped terminal, or for a pipe that is not read."""


class StartFailure(SystemExit, Exception):
    """
    A failed start.

    In the foreground twistd lets a ``SystemExit`` pass, and prints a long traceback for other exceptions.  In the
    background it reports only an ``Exception`` to the waiting parent process, which would wait forever after a
    ``SystemExit``.  So this is both.
    """

    def __init__(self, reason: str, status: int = 1) -> None:
        super().__init__(reason)
        self.code = status


class Terminal:
    """
    The standard error of the process that starts the daemon.

    twistd replaces it: in the foreground its log captures stderr, and in the background stderr is closed.
    """

    def __init__(self, standard_error: int = 2, wait_seconds: float = _REPORT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        try:
            self._descriptor: int | None = os.dup(standard_error)
        except OSError:  # started without one
            self._descriptor = None

    def report(self, line: str) -> None:
        """
        Print a line, if it can be written.
        """
        if self._descriptor is not None and writable(self._descriptor, self._wait_seconds):
            with suppress(OSError):  # the process that started it has exited
                os.write(self._descriptor, f"{line}\n".encode(errors="replace"))

    def close(self) -> None:
        """
        Close it: the process that started the daemon may wait until its pipe is closed.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def reserve_standard_descriptors() -> None:
    """
    Open /dev/null in place of standard streams that are closed.

    Otherwise the next file opened gets the number of stderr, and the output of C libraries.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def ignore_at_exit(*numbers: int) -> None:
    """
    Ignore signals once the interpreter shuts down.

    At shutdown the interpreter restores the system's default for each signal that the program handles.  Such a signal
    would then kill the process, with a status that looks like a failure.  Ignored signals stay ignored.
    """
    for number in numbers:
        atexit.register(signal.signal, number, signal.SIG_IGN)


def unblock(descriptor: int) -> None:
    """
    Make writes to a pipe, a terminal or a socket never wait for the reader; text that does not fit is lost.

    C libraries print to stderr in their threads, and gRPC would block.
    """
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:  # started without one
        return
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        with suppress(OSError):
            # Opened again, because the mode is shared with other processes that have it open, such as a shell.
            opened = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            os.dup2(opened, descriptor)
            os.close(opened)
            return
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        os.set_blocking(descriptor, False)
