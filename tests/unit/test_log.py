"""
Tests for ``twisted_registry.daemon.logging``.
"""

import json
import os
import re
import signal
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.application.service import Application, IServiceCollection, MultiService
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python.log import LogPublisher as LegacyLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.unit.twistd_process import TAP, run_twistd
from twisted_registry.config.logging import LOG_LEVELS, LoggingSettings
from twisted_registry.daemon import logging as log
from twisted_registry.daemon.logging import LoggedService, describe_loss, make_observer
from twisted_registry.daemon.options import Options


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
        observer = make_observer(level, log_format, self.written)
        return Logger(namespace="here", observer=LogPublisher(observer))

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
        self.assertEqual(line, {"level": "warn", "namespace": "here", "message": "the disk is\nv\u00f6ll"})
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
        self.assertIn("ValueError: deep down", line["failure"])

    def test_json_legacy(self) -> None:
        """
        Events of Twisted's older logging are written too.
        """
        publisher = LogPublisher(make_observer("info", "json", self.written))
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


SERVICE = """
import os
import signal
import sys

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger
from zope.interface import provider

from twisted_registry.daemon.logging import LoggedService
from twisted_registry.daemon.options import Options

log = Logger(namespace="here")

class Says(Service):
    def startService(self):
        from twisted.internet import reactor
        log.info("started")
        log.error("failed")
        if os.path.exists("says_more.py"):
            __import__("says_more").say_more()
        if "--logfile" in sys.argv:
            os.kill(os.getpid(), signal.SIGUSR1)
        # The signal's work comes by callFromThread, which is done first.
        reactor.callLater(0, reactor.callLater, 0, reactor.stop)

def makeService(options):
    root = LoggedService(options.loaded.settings.logging, options.parent, options.loaded.warnings)
    Says().setServiceParent(root)
    return root

def chosen():
    out = sys.stdout
    @provider(ILogObserver)
    def observer(event):
        out.write("chosen: " + str(event["log_format"]) + chr(10))
    return observer
"""
"""A service that logs two events, and stops."""

SAYS_MORE = """
import logging
import sys
import threading
import warnings

def say():
    print("printed in a thread")
    print("printed to stderr", file=sys.stderr)
    logging.getLogger("library").warning("by logging")
    warnings.warn("by warnings")
    raise RuntimeError("died in a thread")

def say_more():
    thread = threading.Thread(target=say)
    thread.start()
    thread.join()
"""
"""Output of other libraries, which the service makes if this file exists."""


class TwistdTests(SynchronousTestCase):
    """
    The log of a real twistd.
    """

    def setUp(self) -> None:
        """
        Make an empty directory to run in.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def twistd(self, *arguments: str, **environ: str) -> str:
        """
        Run it until it exits, and return what it wrote to stdout.
        """
        done = run_twistd(self.folder, SERVICE, *arguments, **environ)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_foreground(self) -> None:
        """
        In the foreground the log goes to stdout, from twistd's first event on.
        """
        lines = [json.loads(line) for line in self.twistd("-n", TAP, "--log-format=json").splitlines()]
        messages = [line["message"] for line in lines]
        self.assertIn("starting up", messages[0])
        self.assertIn("started", messages)
        self.assertIn("Server Shut Down.", messages)

    def test_what_python_prints(self) -> None:
        """
        Prints, warnings, records of Python's logging and exceptions in threads are logged too.
        """
        (self.folder / "says_more.py").write_text(SAYS_MORE)
        lines = [json.loads(line) for line in self.twistd("-n", TAP, "--log-format=json").splitlines()]
        logged = "\n".join(line["message"] for line in lines)
        for text in ("printed in a thread", "printed to stderr", "died in a thread", "by logging", "by warnings"):
            self.assertIn(text, logged)
        self.assertIn("Server Shut Down.", lines[-1]["message"])

    def test_warnings(self) -> None:
        """
        An unknown variable is a warning, once.
        """
        said = self.twistd("-n", TAP, "--log-level=warn", COGMENT_MODEL_REGISTRY_PROT="1")
        (line,) = [line for line in said.splitlines() if "PROT" in line]
        self.assertIn("[twisted_registry#warn] the variable 'COGMENT_MODEL_REGISTRY_PROT' is not a setting", line)

    def test_level(self) -> None:
        """
        Only events of the level and above are logged.
        """
        said = self.twistd("-n", TAP, "--log-level=error")
        self.assertRegex(said, r"\A.*\[here#error\] failed\n\Z")

    def test_file(self) -> None:
        """
        A log file is written, and rotated on SIGUSR1.
        """
        self.assertEqual(self.twistd("-n", "--logfile", "log", TAP), "")
        self.assertIn("[here#info] started", (self.folder / "log.1").read_text())
        self.assertIn("Server Shut Down", (self.folder / "log").read_text())

    def test_chosen_observer(self) -> None:
        """
        An observer that twistd's options name is used.
        """
        said = self.twistd("-n", "--logger", "made_up_service.chosen", TAP, "--log-level=error")
        self.assertIn("chosen: started\n", said)
        self.assertNotIn("here#", said)
