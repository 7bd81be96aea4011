"""
Test cases with a daemon and a client.
"""

import atexit
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import Client
from tests.support.daemon import TIMEOUT_SECONDS, Daemon, free_port


class RegistryTestCase(SynchronousTestCase):
    """
    A test case with a fresh daemon for each test.

    Attributes:
        flags: its flags.
        environment: its environment variables.
        keeps_port: whether a restarted daemon has the same port.  Another program might take a port that the system had
            assigned.
        is_forked: see ``Daemon``.
    """

    is_forked: ClassVar[bool] = True
    flags: ClassVar[Sequence[str]] = ()
    environment: ClassVar[Mapping[str, str]] = {}
    keeps_port: ClassVar[bool] = False
    _port: Sequence[str] = ()
    _printed_before = 0

    def setUp(self) -> None:
        """
        Start a daemon on an empty archive.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.archive = self.directory / "archive"
        if self.keeps_port:
            self._port = ("--port", str(free_port()))
        self.prepare()
        self.daemon = self.start_daemon()
        self.client = self.connect()

    def tearDown(self) -> None:
        """
        Check that the daemon logged no traceback.
        """
        self.assertNotIn("Traceback", "".join(self.daemon.lines[self._printed_before :]))

    def prepare(self) -> None:
        """
        Lay out the archive that the daemon finds.
        """

    def start_daemon(self, *flags: str) -> Daemon:
        """
        Start a daemon on the test's archive.
        """
        daemon = self.make_daemon(*flags)
        self.addCleanup(daemon.kill)
        return daemon.start()

    def make_daemon(self, *flags: str) -> Daemon:
        """
        Make a daemon on the test's archive, not started yet.
        """
        all_flags = ("--archive-dir", str(self.archive), *self._port, *self.flags, *flags)
        return Daemon(self.directory, all_flags, self.environment, is_forked=self.is_forked)

    def connect(self, **options: Any) -> Client:
        """
        Connect another client to the daemon.
        """
        client = Client(self.daemon.address, **options)
        self.addCleanup(client.close)
        return client

    def restart(self) -> None:
        """
        Stop the daemon cleanly, start it again, and reconnect.
        """
        self.daemon.restart()
        self.client = self.connect()

    def crash(self) -> None:
        """
        Kill the daemon, start it again on the same archive, and reconnect.
        """
        self.daemon.kill()
        self.daemon = self.start_daemon()
        self.client = self.connect()

    def wait_until_true(self, condition: Callable[[], Any], fact: str) -> None:
        """
        Wait until a condition holds that the daemon brings about.

        Args:
            fact: the condition in words, for the failure's text.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"timed out: waited until {fact}: {self.daemon.log}")
            time.sleep(0.01)

    def wait_for_subscribers(self, count: int) -> None:
        """
        Wait until the daemon has this number of subscribers.
        """
        self.wait_until_true(
            lambda: self.client.statuses("subscribers") == {"subscribers": str(count)}, f"it has {count} subscribers"
        )

    def wait_until_logged(self, text: str) -> None:
        """
        Wait until the log contains a text.
        """
        self.wait_until_true(lambda: text in self.daemon.log, f"the log tells {text!r}")

    def assert_refused(self, code: grpc.StatusCode, call: Callable[[], Any], *said: str) -> str:
        """
        Check that a call ends with a code, and that the text says certain things, in at most 1 KB.

        Returns:
            the text.
        """
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        error: Any = caught.exception
        self.assertEqual(error.code(), code, error.details())
        details = str(error.details())
        self.assertLessEqual(len(details.encode()), 1024)
        for part in said:
            self.assertIn(part, details)
        return details


class SharedRegistryTestCase(RegistryTestCase):
    """
    A test case with one daemon for all tests of a class: for tests that change only their own model.

    Attributes:
        model_id: the test's own model, not created yet.
    """

    _shared: ClassVar[dict[type, tuple[Path, Daemon]]] = {}

    def setUp(self) -> None:
        """
        Connect to the daemon of the class; the first test starts it.
        """
        if type(self) not in self._shared:
            # One at a time, because they take memory: the tests of a class follow one another.
            while self._shared:
                _, (_, other) = self._shared.popitem()
                other.kill()
            self.directory = Path(self.mktemp()).absolute()
            self.archive = self.directory / "archive"
            self.prepare()
            daemon = self.make_daemon()
            atexit.register(daemon.kill)
            self._shared[type(self)] = self.directory, daemon.start()
        self.directory, self.daemon = self._shared[type(self)]
        self.archive = self.directory / "archive"
        self.client = self.connect()
        self._printed_before = len(self.daemon.lines)
        self.model_id = self.id().rpartition(".")[2]
