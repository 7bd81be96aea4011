"""
The ways in which the process of the daemon ends: by a signal, or because the daemon has failed.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from twisted_registry.daemon.startup import StartFailure

_log = Logger(namespace="twisted_registry")


def cancel_start() -> None:
    """
    End the start.

    Raises:
        StartFailure: always.
    """
    raise StartFailure("stopped by a signal during the start", status=0)


class Exit:
    """
    The exit of the process.
    """

    def __init__(self, reactor: Any, drain_log: Callable[[], None]) -> None:
        """

        Args:
            drain_log: waits until the log is written, for two seconds at most.
        """
        self._reactor = reactor
        self._drain_log = drain_log

    def handle_signals(self, handler: Callable[[], None]) -> None:
        """
        Call a function when the process is asked to stop, instead of twistd's own handlers: they exit with the signal's
        status, but a requested stop is not a failure.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: handler())

    def ask_to_stop(self) -> None:
        """
        Stop the reactor.  May be called by a signal handler.
        """
        self._reactor.callFromThread(self._stop)

    def _stop(self) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            _log.info("the daemon is already stopping")

    def stop_as_failed(self) -> None:
        """
        Stop the reactor, and then exit with status 1.
        """
        self.fail()
        self._stop()

    def fail(self) -> None:
        """
        Exit with status 1 once the reactor has stopped.
        """
        # A stopped reactor exits with status 0, and a service manager would not start the daemon again.
        self._reactor.addSystemEventTrigger("after", "shutdown", self.now)

    def now(self) -> None:
        """
        Exit with status 1, without waiting for anything but the log.
        """
        self._drain_log()
        os._exit(1)
