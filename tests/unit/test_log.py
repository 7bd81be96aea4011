"""
Tests for ``twisted_registry.daemon.logging``.
"""

import json
import os
import re
import signal
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.application.service import Application, IServiceCollection, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.python.log import LogPublisher as LegacyLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http import HTTPChannel

from tests.support.logs import LoggedLines
from tests.unit.test_access_log import RECORD
from twisted_registry.config.logging import LOG_LEVELS, LoggingSettings
from twisted_registry.daemon import logging as log
from twisted_registry.daemon.logging import LoggedService, describe_loss, make_observer
from twisted_registry.daemon.options import Options
from twisted_registry.observability.access_log import AccessLog


def attached(twistd_options: dict[str, Any] | None, *arguments: str) -> Any:
    """
    Attach a service to a new application, as twistd does, and return the application.
    """
    application = Application("model-registry")
    LoggedService(Options({}).parse(arguments).settings.logging, twistd_options).setServiceParent(application)
    return application


class ObserverTests(SynchronousTestCase):
    """
    Events as an observer writes them.
    """

    def setUp(self) -> None:
        """
        Log to a string.
        """
        self.written = StringIO()

    def logger(self, level: str, log_format: str) -> Logger:
        """
        Return a logger whose events an observer writes.
        """
        return Logger(namespace="here", observer=self.observer(level, log_format))

    def observer(self, level: str, log_format: str = "text") -> LogPublisher:
        """
        Return a publisher of events to an observer that writes them.
        """
        return LogPublisher(make_observer(level, log_format, self.written)[0])

    def test_levels(self) -> None:
        """
        Events below the level are not written.
        """
        for position, level in enumerate(LOG_LEVELS):
            log = self.logger(level, "text")
            for other in LOG_LEVELS:
                log.emit(LogLevel.lookupByName(other), "at {name}", name=other)
            logged = re.findall("at ([a-z]+)", self.written.getvalue())
            self.assertEqual(logged, list(LOG_LEVELS[position:]))
            self.written.truncate(0)

    def test_idle_connections(self) -> None:
        """
        HTTP connections that were idle, such as those of each browser, are logged only at debug.
        """
        for level, count in {"debug": 1, "info": 0, "warn": 0}.items():
            channel = HTTPChannel()
            self.patch(channel, "_log", Logger(namespace="twisted.web.http.HTTPChannel", observer=self.observer(level)))
            channel.makeConnection(StringTransport())
            self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
            channel.timeoutConnection()
            self.assertEqual(self.written.getvalue().count("Timing out client"), count, level)
            self.written.truncate(0)

    def test_text(self) -> None:
        """
        Text has Twisted's format.
        """
        self.logger("info", "text").warn("the disk is {state}", state="full")
        self.assertRegex(self.written.getvalue(), r"^\d{4}-.* \[here#warn\] the disk is full\n$")

    def test_json(self) -> None:
        """
        JSON is one object per line, even if the message has several lines.
        """
        log = self.logger("info", "json")
        log.warn("the disk is\n{state}", state="v\u00f6ll")
        log.info("and so on")
        first, second = self.written.getvalue().splitlines()
        line = json.loads(first)
        self.assertRegex(line.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertEqual(line, {"level": "warn", "logger": "here", "message": "the disk is\nv\u00f6ll"})
        self.assertEqual(json.loads(second)["message"], "and so on")

    def test_json_failure(self) -> None:
        """
        The object contains the traceback of a failure.
        """
        log = self.logger("info", "json")
        try:
            raise ValueError("deep down")
        except ValueError:
            log.failure("it broke")
        line = json.loads(self.written.getvalue())
        self.assertEqual((line["level"], line["message"]), ("critical", "it broke"))
        self.assertIn("ValueError: deep down", line["traceback"])

    def test_json_legacy(self) -> None:
        """
        Events of Twisted's older logging are written too.
        """
        publisher = LogPublisher(make_observer("info", "json", self.written)[0])
        LegacyLogPublisher(publisher, publisher).msg("an old one", system="older")
        line = json.loads(self.written.getvalue())
        self.assertEqual((line["level"], line["message"]), ("info", "an old one"))


class LoggedServiceTests(SynchronousTestCase):
    """
    The service adds an observer to the application, unless twistd's options name another one.
    """

    def test_application(self) -> None:
        """
        The service is attached, and the application has the observer.
        """
        application = attached({"nodaemon": 1})
        self.assertTrue(ILogObserver.providedBy(application.getComponent(ILogObserver)))
        (service,) = IServiceCollection(application)
        self.assertIsInstance(service, LoggedService)

    def test_file(self) -> None:
        """
        The log file that twistd's options name is written.
        """
        path = self.mktemp()
        observer = attached({"nodaemon": 1, "logfile": path}, "--log-format=json").getComponent(ILogObserver)
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        Logger(namespace="here", observer=observer).info("to the file")
        self.assertEqual(json.loads(Path(path).read_text())["message"], "to the file")

    def access_log(self, *arguments: str, **twistd_options: Any) -> AccessLog:
        """
        Return the access log of an attached service.
        """
        application = attached({"nodaemon": 1, **twistd_options}, *arguments)
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        (service,) = IServiceCollection(application)
        found = service.make_access_log()
        assert isinstance(found, AccessLog)
        return found

    def test_access_log(self) -> None:
        """
        Lines of the access log are in the log's file and format, whatever the level is.
        """
        for log_format in ("json", "text"):
            path = self.mktemp()
            arguments = (f"--log-format={log_format}", "--log-level=error", "--access-log=all")
            self.access_log(*arguments, logfile=path).write(RECORD)
            (line,) = Path(path).read_text().splitlines()
            if log_format == "json":
                self.assertEqual(json.loads(line)["request_id"], "r-1")
            else:
                self.assertRegex(line, r"^\S+ \[twisted_registry.access#info\] /tests.Tests/Test from .*, request r-1$")

    def test_access_log_of_twistd(self) -> None:
        """
        If the log is left to twistd, it gets the lines of the access log too.
        """
        lines = LoggedLines(self)
        self.access_log("--access-log=all", syslog=1).write(RECORD)
        (line,) = lines.of("twisted_registry.access")
        self.assertRegex(line, "^/tests.Tests/Test from .*, request r-1$")

    def test_no_access_log(self) -> None:
        """
        By default there is none.
        """
        (service,) = IServiceCollection(attached({"nodaemon": 1}))
        self.assertIsNone(service.make_access_log())

    def test_background(self) -> None:
        """
        In the background, the default log file is that of twistd.
        """
        observer = attached({}).getComponent(ILogObserver)
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        self.addCleanup(Path("twistd.log").unlink)
        Logger(namespace="here", observer=observer).info("in the background")
        self.assertIn("in the background", Path("twistd.log").read_text())

    def test_rotation_signal(self) -> None:
        """
        A program's handler of SIGUSR1 is kept.
        """

        def mine(number: int, frame: object) -> None: ...

        before = signal.signal(signal.SIGUSR1, mine)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.start(attached({"nodaemon": 1, "logfile": self.mktemp()}))
        self.assertIs(signal.getsignal(signal.SIGUSR1), mine)

    def start(self, application: Any) -> LoggedService:
        """
        Start the service, as twistd does after it has forked, without changing the test runner's stderr.
        """
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.patch(log, "unblock", lambda descriptor: None)
        self.patch(log, "use_twisted_log", lambda root: None)
        (service,) = IServiceCollection(application)
        service.privilegedStartService()
        assert isinstance(service, LoggedService)
        return service

    def test_signals_that_would_end_it(self) -> None:
        """
        SIGHUP and SIGUSR1 are handled whatever the log's output, even if SIGHUP was ignored, as under nohup.
        """
        path = self.mktemp()
        for options in ({"nodaemon": 1}, {"nodaemon": 1, "logfile": path}, {"syslog": 1}):
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            self.start(attached(options))
            for number in (signal.SIGHUP, signal.SIGUSR1):
                self.assertTrue(callable(signal.getsignal(number)), (options, number))

    def test_describe_loss(self) -> None:
        """
        A loss is reported in the format of the log.
        """
        entry = json.loads(describe_loss("json", 3, "it is full"))
        self.assertEqual(
            (entry["level"], entry["message"]), ("warn", "3 lines of the log are missing here: it is full")
        )
        text = describe_loss("text", 3, "it is full")
        self.assertRegex(text, r"^\d{4}-.* \[twisted_registry#warn\] 3 lines of the log are missing here: .* full\n$")

    def test_left_to_twistd(self) -> None:
        """
        With another observer, with syslog, and with stdout in the background, the log is left to twistd.
        """
        for options in ({"logger": print}, {"syslog": 1}, {"logfile": "-"}, None):
            self.assertIsNone(attached(options).getComponent(ILogObserver, None), options)

    def test_no_application(self) -> None:
        """
        Below another service it is an ordinary service.
        """
        parent = MultiService()
        LoggedService(LoggingSettings("info", "text"), {"nodaemon": 1}).setServiceParent(parent)
        self.assertEqual(len(list(parent)), 1)


class ReloadTests(TestCase):
    """
    Reloading on SIGHUP.
    """

    def test_hooks(self) -> "Deferred[None]":
        """
        All hooks are called in the reactor's thread, even if one of them fails; the log is reopened.
        """
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.patch(log, "unblock", lambda descriptor: None)
        self.patch(log, "use_twisted_log", lambda root: None)
        path = Path(self.mktemp())
        (service,) = IServiceCollection(attached({"nodaemon": 1, "logfile": str(path)}))
        assert isinstance(service, LoggedService)
        called: Deferred[None] = Deferred()

        def fail() -> None:
            raise RuntimeError("the certificate is not readable")

        service.reload_hooks += [fail, lambda: called.callback(None)]
        service.privilegedStartService()
        path.rename(f"{path}.1")
        os.kill(os.getpid(), signal.SIGHUP)

        def check(_: None) -> None:
            service.drain_log()
            self.assertTrue(path.exists())
            (failure,) = self.flushLoggedErrors(RuntimeError)
            self.assertIn("the certificate", str(failure.value))

        return called.addCallback(check)
