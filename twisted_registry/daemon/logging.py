"""
The log, in the format and at the level of the settings, in the file that twistd's options name.

twistd takes its log observer from its options, or from the application.  So the daemon's outermost service adds one to
the application when it is attached, before the log begins.  If twistd's options name an observer (``--logger``) or
syslog, the log is left to twistd.  twistd redirects ``sys.stdout`` and ``sys.stderr`` to the log, so Python's output is
logged too.
"""

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import IO, Any, cast

from twisted.application.internet import TimerService
from twisted.application.service import IServiceCollection, MultiService
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEventAsClassicLogText,
    textFileLogObserver,
)
from twisted.python.components import Componentized

from twisted_registry.config.logging import LoggingSettings
from twisted_registry.daemon.log_queue import File, LineQueue, Stream
from twisted_registry.daemon.python_logging import use_twisted_log
from twisted_registry.daemon.startup import describe_failure, ignore_at_exit, unblock
from twisted_registry.observability.access_log import LOGGER as ACCESS_LOGGER, AccessLog
from twisted_registry.observability.line_limit import LineLimit
from twisted_registry.observability.log_lines import Fields, event_as_json, event_at_warn, json_line, text_line
from twisted_registry.repeated_lines import REPEAT_SECONDS

_log = Logger(namespace="twisted_registry")
_access_log = Logger(namespace=ACCESS_LOGGER)

_DEFAULT_FILE = "twistd.log"
"""twistd's default if it runs in the background."""

_HTTP_CONNECTIONS = "twisted.web.http.HTTPChannel"

_STDERR = 2


def make_observer(level: str, log_format: str, file: IO[Any]) -> tuple[ILogObserver, LineLimit]:
    """
    Make an observer that writes events of a level and above to a file.

    Returns:
        the observer, and its limit on lines that repeat.
    """
    writer = FileLogObserver(file, event_as_json) if log_format == "json" else textFileLogObserver(file)
    limit = LineLimit(writer)
    lowest = LogLevel.lookupByName(level)
    predicate = LogLevelFilterPredicate(lowest)
    if lowest is LogLevel.info:
        # Each connection that a browser leaves open makes a line.
        predicate.setLogLevelForNamespace(_HTTP_CONNECTIONS, LogLevel.warn)
    return FilteringLogObserver(limit, [predicate]), limit


def describe_loss(log_format: str, count: int, reason: str) -> str:
    """
    Return the line that replaces lost lines.
    """
    event = event_at_warn("{count} lines of the log are missing here: {reason}", count=count, reason=reason)
    return event_as_json(event) if log_format == "json" else formatEventAsClassicLogText(event) or ""


def _open_output(twistd_options: Mapping[str, Any], log_format: str) -> Stream | None:
    """
    Open the output to which twistd would write its log; ``None`` if the log is left to twistd.
    """
    in_foreground, name = twistd_options.get("nodaemon"), twistd_options.get("logfile")
    if twistd_options.get("logger") or twistd_options.get("syslog"):
        return None
    if name == "-" and not in_foreground:
        return None  # in the background there is no stdout, and twistd reports that
    if name == "-" or (in_foreground and not name):
        return Stream(_stdout())
    try:
        return File(name or _DEFAULT_FILE)
    except OSError as error:
        problem = f"the log {name or _DEFAULT_FILE} cannot be written: {error.strerror}"
        raise SystemExit(describe_failure(problem, log_format)) from None


def _stdout() -> int:
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or not a file
        return os.open(os.devnull, os.O_WRONLY)


class LoggedService(MultiService):
    """
    The outermost service, which sets up the log of its application and reloads on SIGHUP.

    Attributes:
        reload_hooks: callbacks for SIGHUP, called in the reactor's thread.
    """

    def __init__(
        self, settings: LoggingSettings, twistd_options: Mapping[str, Any] | None, warnings: Sequence[str] = ()
    ) -> None:
        """

        Args:
            settings: the level and the format.
            twistd_options: the options of twistd itself; ``None`` if something else runs the service.
            warnings: lines to log at the start.
        """
        super().__init__()
        self.reload_hooks: list[Callable[[], object]] = []
        self._settings = settings
        self._twistd_options = twistd_options
        self._warnings = warnings
        self._outermost = False
        self._lines: LineQueue | None = None

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """
        Attach this service to an application.  Below another service, it leaves the log and the signals alone.
        """
        if self._twistd_options is not None and isinstance(parent, Componentized):
            self._outermost = True
            output = _open_output(self._twistd_options, self._settings.format)
            if output is not None:
                parent.setComponent(ILogObserver, self._make_observer(output))
        super().setServiceParent(parent)

    def _make_observer(self, output: Stream) -> ILogObserver:
        log_format = self._settings.format
        self._lines = LineQueue(output, partial(describe_loss, log_format))
        self.reload_hooks.append(self._lines.reopen)
        # The interpreter exits after twistd's last line.  The thread starts later, because twistd forks first.
        atexit.register(self._lines.drain)
        observer, limit = make_observer(self._settings.level, log_format, cast(IO[Any], self._lines))
        TimerService(REPEAT_SECONDS, limit.flush).setServiceParent(self)
        return observer

    def privilegedStartService(self) -> None:
        """
        Start the log's thread, and handle signals.  twistd calls this first after it has forked.
        """
        if self._outermost:
            _handle_signal(signal.SIGHUP, self._reload)
            _handle_signal(signal.SIGUSR1, self._rotate)
            use_twisted_log(logging.getLogger())
            ignore_at_exit(signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
        if self._lines is not None:
            self._lines.start()
            unblock(_STDERR)
        for warning in self._warnings:
            _log.warn("{warning}", warning=warning)
        super().privilegedStartService()

    def make_access_log(self) -> AccessLog | None:
        """
        Make the access log of the settings; ``None`` if they have none.
        """
        settings = self._settings
        if not settings.logs_calls:
            return None
        return AccessLog(
            self._add_line,
            share=settings.access_log_share,
            slow_seconds=settings.access_log_slow_seconds,
            form=self._form,
        )

    def _add_line(self, make: Callable[[], str]) -> None:
        if self._lines is None:
            _access_log.info("{line}", line=make())  # the log is left to twistd, or to another program
        else:
            self._lines.write_later(make)

    def _form(self, when: float, level: str, logger: str, message: str, fields: Fields) -> str:
        if self._lines is None:
            return message
        return (json_line if self._settings.format == "json" else text_line)(when, level, logger, message, fields)

    def drain_log(self) -> None:
        """
        Wait until the log is written, for two seconds at most, before the process is killed.
        """
        if self._lines is not None:
            self._lines.drain()

    def _reload(self) -> None:
        for hook in self.reload_hooks:
            try:
                hook()
            except Exception:  # the other hooks are called, and the daemon continues with its old state
                _log.failure("a part could not be reloaded on SIGHUP")
        _log.info("reloaded on SIGHUP")

    def _rotate(self) -> None:
        if self._lines is not None:
            self._lines.rotate()


def _handle_signal(number: int, action: Callable[[], None]) -> None:
    """
    Handle a signal in the reactor's thread, unless the program handles it already.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        # Imported late: the reactor is chosen after this module is imported.
        from twisted.internet import reactor

        cast(IReactorFromThreads, reactor).callFromThread(action)

    # A signal that is ignored, as SIGHUP under nohup, must not end the process, but may be handled.
    if signal.getsignal(number) in (None, signal.SIG_DFL, signal.SIG_IGN):
        signal.signal(number, handle)
