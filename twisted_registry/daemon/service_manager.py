"""
Messages to the service manager, such as systemd: the daemon serves, reloads, stops, or still runs.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html describes them.  Without a service manager that
wants them, nothing is sent.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_registry.repeated_lines import RepeatedLines, more

_log = Logger()

_SOCKET_VARIABLE = "NOTIFY_SOCKET"
_WATCHDOG_VARIABLE = "WATCHDOG_USEC"
_WATCHDOG_PROCESS_VARIABLE = "WATCHDOG_PID"


class ServiceManager:
    """
    The service manager of this process.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, process_id: int | None = None) -> None:
        """

        Args:
            environment: the variables by which it says what it wants.
            process_id: the id of this process; ``None`` to ask for it.
        """
        self._address = environment.get(_SOCKET_VARIABLE, "")
        own_id = str(os.getpid() if process_id is None else process_id)
        is_meant = environment.get(_WATCHDOG_PROCESS_VARIABLE, own_id) == own_id
        microseconds = environment.get(_WATCHDOG_VARIABLE, "") if is_meant else ""
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() else 0.0
        """The time after which it ends a daemon that has not shown that it runs; 0 if it does not watch it."""
        self._lines = RepeatedLines()

    @property
    def listens(self) -> bool:
        """
        True if it wants messages.
        """
        return self._address[:1] in ("/", "@")

    def send(self, *assignments: str) -> None:
        """
        Send a message.  Does not block.

        Args:
            assignments: such as ``READY=1``.
        """
        if not self.listens:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            ) as sender:
                sender.sendto("\n".join(assignments).encode(), address)
        except OSError as error:
            # The next one may arrive.
            self._lines.happened("", partial(self._log_problem, error.strerror or str(error)))

    def _log_problem(self, reason: str, times: int) -> None:
        _log.warn(
            "the service manager did not take a message: {reason}{more}; it may restart the daemon if it watches it",
            reason=reason,
            more=more(times),
        )


class ServiceNotices:
    """
    The messages of a daemon that starts, runs, reloads and stops.
    """

    def __init__(self, clock: IReactorTime, manager: ServiceManager, ask: Callable[[Callable[[], None]], None]) -> None:
        """

        Args:
            clock: the clock.
            ask: calls the given function in the reactor's thread once the server's event loop has answered, so that a
                daemon whose server hangs is noticed.
        """
        self._manager = manager
        self._ask = ask
        self._watchdog = LoopingCall(self._prove)
        self._watchdog.clock = clock
        self._serves = False

    def ready(self) -> None:
        """
        Send that the daemon serves, and show from now on that it still runs.
        """
        self._serves = True
        self._send_ready()
        if self._manager.listens and self._manager.watchdog_seconds and not self._watchdog.running:
            self._watchdog.start(self._manager.watchdog_seconds / 3, now=False)

    def reloading(self) -> None:
        """
        Send that the daemon reads its files again, unless it is still starting or stops.
        """
        if self._serves:
            # systemd compares the time with that of its request.
            microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._manager.send("RELOADING=1", f"MONOTONIC_USEC={microseconds}", "STATUS=Reading files again.")

    def reloaded(self) -> None:
        """
        Send that the daemon has read its files.
        """
        if self._serves:
            self._send_ready()

    def stopping(self) -> None:
        """
        Send that the daemon stops, which may take as long as calls run.
        """
        self._serves = False
        self._manager.send("STOPPING=1", "STATUS=Waiting for running calls.")

    def stopped(self) -> None:
        """
        Show no longer that the daemon runs.
        """
        if self._watchdog.running:
            self._watchdog.stop()

    def _send_ready(self) -> None:
        self._manager.send("READY=1", "STATUS=Serving.")

    def _prove(self) -> None:
        self._ask(lambda: self._manager.send("WATCHDOG=1"))
