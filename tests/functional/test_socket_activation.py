"""
Tests of a daemon whose sockets a service manager listens on, as systemd does.
"""

import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import TIMEOUT_SECONDS, Daemon, wait_until
from tests.support.service_manager import FakeServiceManager, passing
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import Unavailable

_SETTINGS = b"\x04"
"""The type of the first frame in both directions."""

_HTTP2_START = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)


class ActivationTests(SynchronousTestCase):
    """
    A service manager that listens on the Unix socket and on the port of HTTP.
    """

    def setUp(self) -> None:
        """
        Listen.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.directory = Path(folder)
        self.path = self.directory / "registry.sock"
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.path))
        self.unix.listen()
        self.http = socket.create_server(("127.0.0.1", 0))
        self.manager = FakeServiceManager()
        for each in (self.unix, self.http, self.manager):
            self.addCleanup(each.close)

    @property
    def port(self) -> int:
        """
        The port of HTTP.
        """
        port: int = self.http.getsockname()[1]
        return port

    def start(self) -> Daemon:
        """
        Start a daemon with the sockets, and wait for its message.
        """
        sockets = (self.unix, self.http)
        flags = ("--archive-dir=archive", f"--socket={self.path}", "--socket-only", f"--http-port={self.port}")
        daemon = Daemon(self.directory, (*flags, "--insecure"), self.manager.environment)
        daemon.prefix = passing(sockets)
        daemon.descriptors = [each.fileno() for each in sockets]
        self.addCleanup(daemon.kill)
        daemon.launch()
        self.assertEqual(self.manager.receive(), "READY=1\nSTATUS=Serving.", daemon.log)
        return daemon

    def ask(self) -> socket.socket:
        """
        Send a request to the port of HTTP, which may not be accepted yet.
        """
        connection = socket.create_connection(("127.0.0.1", self.port))
        self.addCleanup(connection.close)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection

    def greet(self) -> socket.socket:
        """
        Send the beginning of HTTP/2 to the Unix socket, as gRPC does.
        """
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(str(self.path))
        connection.sendall(_HTTP2_START)
        return connection

    def serves(self, client: BlockingClient) -> bool:
        """
        Return whether the daemon accepts calls.
        """
        try:
            return client.is_serving()
        except Unavailable:
            return False

    def test_restart(self) -> None:
        """
        While the daemon is restarted, connections wait, and none is refused.
        """
        first = self.start()
        with BlockingClient(f"unix:{self.path}") as client:
            client.save_model("walker")
        self.assertIn(b" 200 ", self.ask().recv(64))
        self.assertEqual(first.stop(), 0, first.log)
        while self.manager.receive().partition("\n")[0] != "STOPPING=1":
            pass
        self.assertTrue(self.path.is_socket())
        asked, greeted = self.ask(), self.greet()
        second = self.start()
        self.assertIn(b" 200 ", asked.recv(64))
        self.assertEqual(greeted.recv(64)[3:4], _SETTINGS)
        with BlockingClient(f"unix:{self.path}") as client:
            self.assertEqual([model.model_id for model in client.models()], ["walker"])
        self.assertEqual(second.stop(), 0, second.log)

    def test_stopping(self) -> None:
        """
        While a daemon waits for a running call, it leaves new connections at the Unix socket to the next one.
        """
        first = self.start()
        sent, released = threading.Event(), threading.Event()

        def pieces() -> Iterator[bytes]:
            yield b"1"
            sent.set()
            released.wait(TIMEOUT_SECONDS)
            yield b"2"

        with BlockingClient(f"unix:{self.path}", retry_seconds=0) as client, ThreadPoolExecutor(1) as executor:
            client.save_model("walker")
            storing = executor.submit(client.store, "walker", pieces(), size_bytes=2)
            self.addCleanup(released.set)
            self.assertTrue(sent.wait(TIMEOUT_SECONDS))
            wait_until(lambda: client.statuses("calls")["calls"] == "2", "the call has begun")
            first.ask_to_stop()
            wait_until(lambda: not self.serves(client), "calls are refused")
            greeted = self.greet()
            released.set()
            self.assertEqual(storing.result(TIMEOUT_SECONDS).size_bytes, 2)
        self.assertEqual(first.wait(), 0, first.log)
        greeted.setblocking(False)
        self.assertRaises(BlockingIOError, greeted.recv, 1)
        greeted.settimeout(TIMEOUT_SECONDS)
        while self.manager.receive().partition("\n")[0] != "STOPPING=1":
            pass
        second = self.start()
        self.assertEqual(greeted.recv(64)[3:4], _SETTINGS)
        self.assertEqual(second.stop(), 0, second.log)

    def test_reload(self) -> None:
        """
        The service manager learns when a reload begins, and when it has ended.
        """
        daemon = self.start()
        daemon.process.send_signal(signal.SIGHUP)
        self.assertRegex(self.manager.receive(), r"^RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=")
        self.assertEqual(self.manager.receive(), "READY=1\nSTATUS=Serving.")
        self.assertEqual(daemon.stop(), 0, daemon.log)

    def test_unused_socket(self) -> None:
        """
        A socket that no setting names prevents the start, with the reason.
        """
        daemon = Daemon(self.directory, ("--archive-dir=archive",))
        daemon.prefix, daemon.descriptors = passing((self.http,)), [self.http.fileno()]
        self.addCleanup(daemon.kill)
        daemon.launch()
        self.assertEqual(daemon.wait(), 1)
        self.assertIn(f"the socket 127.0.0.1:{self.port}, which no setting names", daemon.log)
