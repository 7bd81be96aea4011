"""
Tests of the log of a real twistd.
"""

import json
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.twistd_process import TAP, run_twistd

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
    logging.getLogger("library").warning("by %s", "logging")
    try:
        1 // 0
    except ZeroDivisionError:
        logging.getLogger("library.part").exception("failed by logging")
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
        logged = "\n".join(line["message"] + line.get("traceback", "") for line in lines)
        for text in ("printed in a thread", "printed to stderr", "died in a thread", "by logging", "by warnings"):
            self.assertIn(text, logged)
        self.assertIn("Server Shut Down.", lines[-1]["message"])
        by_logging = {line["message"]: line for line in lines if line["logger"].startswith("library")}
        self.assertEqual([line["level"] for line in by_logging.values()], ["warn", "error"])
        self.assertIn("ZeroDivisionError", by_logging["failed by logging"]["traceback"])
        (thread,) = [line for line in lines if "died in a thread" in line.get("traceback", "")]
        self.assertIn("the thread Thread-", thread["message"])

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
