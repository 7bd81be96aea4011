"""
Facts about how the daemon ends when its archive is in its way.
"""

import socket
import struct
from concurrent.futures import ThreadPoolExecutor

from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.client import DEADLINE_SECONDS
from tests.support.daemon import Daemon
from tests.support.gates import GatedTestCase
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

# A window of 0 for the data of every stream: what the server sends does not go out.
NO_WINDOW = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
SETTINGS_HEARD = frame(SETTINGS, 1, 0, b"")
WATCH = frame(HEADERS, 4, 1, b"".join(field(name, value) for name, value in REQUEST.items())) + frame(
    DATA, 1, 1, bytes(5)
)


def read_until(connection: socket.socket, kind: int) -> None:
    """
    Read frames until one of a kind comes.
    """
    with connection.makefile("rb", buffering=0) as stream:
        while True:
            head = b""
            while len(head) < 9:
                head += stream.read(9 - len(head)) or b""
            length = int.from_bytes(head[:3], "big")
            while length:
                length -= len(stream.read(length) or b"")
            if head[3] == kind:
                return


class EndOfStartTests(GatedTestCase):
    """
    A daemon that is told to stop before it serves.
    """

    def start_daemon(self, *flags: str) -> Daemon:
        """
        Start it, with its archive held.
        """
        self.gates.hold("open")
        daemon = self.make_daemon(*flags)
        self.addCleanup(daemon.kill)
        daemon.launch()
        return daemon

    def test_told_while_the_archive_opens(self) -> None:
        """
        It ends at once, with status 0, though the archive does not answer.
        """
        self.wait_for_calls("open")
        self.daemon.process.terminate()
        self.assertEqual(self.daemon.wait(), 0, self.daemon.log)


class FailingCloseTests(GatedTestCase):
    """
    A daemon whose archive breaks its promises.
    """

    def tearDown(self) -> None:
        """
        Find the failure in the log, where it belongs.
        """
        self.assertIn("RuntimeError: close fails", self.daemon.log)

    def test_close_that_raises(self) -> None:
        """
        It ends all the same, says so, and its status tells that something was wrong.
        """
        self.gates.fail("close")
        self.assertEqual(self.daemon.stop(), 1)
        self.assertIn("not closed as they should be", self.daemon.log)


class StalledWatcherTests(RegistryTestCase):
    """
    A client that watches the health and reads nothing.
    """

    def test_stalled_watcher_holds_up_nobody(self) -> None:
        """
        The daemon's health is told to others, and the daemon stops.
        """
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as stalled:
            stalled.settimeout(DEADLINE_SECONDS)
            stalled.sendall(NO_WINDOW)
            read_until(stalled, SETTINGS)
            stalled.sendall(SETTINGS_HEARD + WATCH)
            read_until(stalled, HEADERS)
            stub = health_pb2_grpc.HealthStub(self.client.channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE_SECONDS)
            self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.SERVING)
            with ThreadPoolExecutor(1) as watcher:
                # gRPC drops what nobody has asked for yet when the connection goes: so it is asked for before that.
                following = watcher.submit(next, watch)
                self.assertEqual(self.daemon.stop(), 0)
            self.assertEqual(following.result().status, health_pb2.HealthCheckResponse.NOT_SERVING)
