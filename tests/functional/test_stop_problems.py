"""
Tests for the exit of a daemon whose archive fails or hangs.
"""

import json
import socket
import struct
from pathlib import Path

from grpc_health.v1.health_pb2 import HealthCheckResponse

from tests.support.audit import entries_of
from tests.support.client import DEADLINE_SECONDS
from tests.support.daemon import Daemon
from tests.support.holds import HeldArchiveTestCase
from tests.support.registry_case import RegistryTestCase


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """
    Make an HTTP/2 frame (RFC 9113, section 4.1).
    """
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name: bytes, value: bytes) -> bytes:
    """
    Make a header field, spelled out (RFC 7541, section 6.2.2).
    """
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


DATA, HEADERS, SETTINGS = 0, 1, 4
"""Kinds of frames."""

REQUEST = {
    b":method": b"POST",
    b":scheme": b"http",
    b":path": b"/grpc.health.v1.Health/Watch",
    b":authority": b"localhost",
    b"te": b"trailers",
    b"content-type": b"application/grpc",
}

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# A window of 0 for the data of every stream: what the server sends does not go out.
NO_WINDOW = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
SETTINGS_HEARD = frame(SETTINGS, 1, 0, b"")
WATCH = frame(HEADERS, 4, 1, b"".join(field(name, value) for name, value in REQUEST.items())) + frame(
    DATA, 1, 1, bytes(5)
)


def receive(connection: socket.socket, length: int) -> bytes:
    """
    Receive a number of bytes.
    """
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise EOFError(f"the connection has ended after {len(data)} of {length} bytes")
        data += more
    return data


def read_until(connection: socket.socket, kind: int) -> bytes:
    """
    Read frames until one of a kind comes, and return its payload.
    """
    while True:
        head = receive(connection, 9)
        payload = receive(connection, int.from_bytes(head[:3], "big"))
        if head[3] == kind:
            return payload


def watch_health(connection: socket.socket, settings: bytes) -> None:
    """
    Start to watch the health.
    """
    connection.settimeout(DEADLINE_SECONDS)
    connection.sendall(HELLO + settings)
    read_until(connection, SETTINGS)
    connection.sendall(SETTINGS_HEARD + WATCH)
    read_until(connection, HEADERS)


def read_health(connection: socket.socket) -> HealthCheckResponse:
    """
    Read the next health that is reported.
    """
    return HealthCheckResponse.FromString(read_until(connection, DATA)[5:])


class EndOfStartTests(HeldArchiveTestCase):
    """
    A daemon that is stopped before it serves.
    """

    is_forked = False

    def start_daemon(self, *flags: str) -> Daemon:
        """
        Start the daemon while its archive hangs.
        """
        self.holds.hold("open")
        daemon = self.make_daemon(*flags)
        self.addCleanup(daemon.kill)
        daemon.launch()
        return daemon

    def test_stop_while_the_archive_opens(self) -> None:
        """
        It exits at once with status 0, even if the archive does not answer.
        """
        self.wait_for_calls("open")
        self.daemon.process.terminate()
        self.assertEqual(self.daemon.wait(), 0, self.daemon.log)


class FailingCloseTests(HeldArchiveTestCase):
    """
    A daemon whose archive breaks its contract.
    """

    def start_daemon(self, *flags: str) -> Daemon:
        """
        Start the daemon with an audit log, and a command that runs long on an event.
        """
        self.audit_file = self.directory / "audit.log"
        self.pid_file = self.directory / "pid"
        run = ["/bin/sh", "-c", f"echo $$ > '{self.pid_file}'; exec sleep 60"]
        deliveries = self.directory / "deliveries.toml"
        deliveries.write_text(f"[[commands]]\nname = 'slow'\nrun = {json.dumps(run)}\n")
        flags = (*flags, "--deliveries-file", str(deliveries), "--deliveries-journal", str(self.directory / "journal"))
        return super().start_daemon(*flags, "--audit-file", str(self.audit_file))

    def tearDown(self) -> None:
        """
        Check that the log has the failure.
        """
        self.assertIn("RuntimeError: close fails", self.daemon.log)

    def test_close_that_raises(self) -> None:
        """
        It exits anyway, logs the failure, and its status is not 0.
        """
        self.holds.fail("close")
        self.assertEqual(self.daemon.stop(), 1)
        self.assertIn("not closed properly", self.daemon.log)
        self.assertEqual(entries_of(self.audit_file)[-1], {"event": "stop"})

    def test_running_command(self) -> None:
        """
        A command that runs on an event is ended nevertheless.
        """
        self.client.save_model("m")
        self.wait_until_true(lambda: self.pid_file.exists() and self.pid_file.read_text(), "the command runs")
        self.holds.fail("close")
        self.assertEqual(self.daemon.stop(), 1)
        self.assertFalse(Path(f"/proc/{self.pid_file.read_text().strip()}").exists())


class StalledWatcherTests(RegistryTestCase):
    """
    A client that watches the health and reads nothing.
    """

    def test_stalled_watcher_holds_up_nobody(self) -> None:
        """
        The health is reported to other clients, and the daemon stops.
        """
        address = ("127.0.0.1", self.daemon.port)
        with socket.create_connection(address) as stalled, socket.create_connection(address) as reader:
            watch_health(stalled, NO_WINDOW)
            # Not one of gRPC's clients: they drop a message if the call fails right after it.
            watch_health(reader, frame(SETTINGS, 0, 0, b""))
            self.assertEqual(read_health(reader).status, HealthCheckResponse.SERVING)
            self.assertEqual(self.daemon.stop(), 0)
            self.assertEqual(read_health(reader).status, HealthCheckResponse.NOT_SERVING)
