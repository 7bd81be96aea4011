"""
The log: what the settings want of it, where twistd would write it.

twistd makes its log from its own options, or from an observer that the application carries.  So the daemon's outermost
service hands the application one as it is attached, before the log begins.  Where twistd's user asked for an observer
(C{--logger}) or for syslog, it is left alone.
"""

import json
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import FrameType
from typing import IO, Any, cast

from twisted.application.service import IServiceCollection, MultiService
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    textFileLogObserver,
)
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile

from twisted_registry.settings import COMMAND, Settings

_DEFAULT_FILE = "twistd.log"
"""twistd's own, where it runs in the background."""


def event_as_json(event: LogEvent) -> str:
    """
    Write an event as one line of JSON: time, level, namespace, message, and the failure's traceback if there is one.
    """
    level, failure = event.get("log_level"), event.get("log_failure")
    time = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    line = {
        "time": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": "info" if level is None else level.name,
        "namespace": event.get("log_namespace") or event.get("log_system") or "-",
        "message": formatEvent(event),
    }
    if failure is not None:
        line["failure"] = failure.getTraceback()
    return json.dumps(line) + "\n"


def make_observer(level: str, log_format: str, file: IO[Any]) -> ILogObserver:
    """
    Make an observer that writes events of a level and above.
    """
    writer = FileLogObserver(file, event_as_json) if log_format == "json" else textFileLogObserver(file)
    return FilteringLogObserver(writer, [LogLevelFilterPredicate(LogLevel.lookupByName(level))])


def _rotate_on_signal(file: LogFile) -> None:
    """
    Rotate a file on SIGUSR1, unless something else is done on it.
    """

    def rotate(number: int, frame: FrameType | None) -> None:
        # Imported late: the reactor is chosen after this module is imported.
        from twisted.internet import reactor

        cast(IReactorFromThreads, reactor).callFromThread(file.rotate)

    if hasattr(signal, "SIGUSR1") and not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, rotate)


def _open_log(twistd_options: Mapping[str, Any]) -> IO[Any] | None:
    """
    Open what twistd would write its log to; C{None} where that is twistd's own business.
    """
    in_foreground, name = twistd_options.get("nodaemon"), twistd_options.get("logfile")
    if twistd_options.get("logger") or twistd_options.get("syslog"):
        return None
    if name == "-":
        # In the background there is no stdout, and twistd says so.
        return sys.stdout if in_foreground else None
    if in_foreground and not name:
        return sys.stdout
    try:
        file: LogFile = LogFile.fromFullPath(name or _DEFAULT_FILE)
    except OSError as error:
        raise SystemExit(f"{COMMAND}: the log {name or _DEFAULT_FILE} cannot be written: {error.strerror}") from None
    _rotate_on_signal(file)
    # It writes, flushes and closes; that is what of a file the observers use.
    return cast(IO[Any], file)


class LoggedService(MultiService):
    """
    The outermost service: makes the application that it is attached to log as the settings say.
    """

    def __init__(self, settings: Settings, twistd_options: Mapping[str, Any] | None) -> None:
        """
        @param twistd_options: the options of twistd itself; C{None} where something else runs the service.
        """
        super().__init__()
        self._settings = settings
        self._twistd_options = twistd_options

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """
        Attach this service to an application, or to another service, and then leave the log alone.
        """
        if self._twistd_options is not None and isinstance(parent, Componentized):
            file = _open_log(self._twistd_options)
            if file is not None:
                observer = make_observer(self._settings.log_level, self._settings.log_format, file)
                parent.setComponent(ILogObserver, observer)
        super().setServiceParent(parent)
