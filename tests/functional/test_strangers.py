"""
Tests of floods by strangers, who cannot sign in: others are served, and it costs little.
"""

import resource
import socket
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from twisted.trial.unittest import SkipTest

from benchmarks.client import frames
from benchmarks.client.stranger import Stranger, address_of_this_machine
from tests.functional.test_access import TLS_FLAGS, AccessTestCase
from tests.support.daemon import wait_until
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import NotAuthenticated, RegistryError, SignInsThrottled
from twisted_registry.protocol.messages import REGISTRY_SERVICE_NAME, SERVICE_NAME, api

MIB = 2**20
PATH = f"/{SERVICE_NAME}/RetrieveVersionInfos"
HALF_A_HANDSHAKE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEALTH = "/grpc.health.v1.Health/"


class StrangersTestCase(AccessTestCase):
    """
    A daemon with TLS and tokens, and a client that is signed in.
    """

    flags: tuple[str, ...] = ()

    def setUp(self) -> None:
        """
        Start them.
        """
        super().setUp()
        self.known, self.new = (self.add_token(name, "reader", "*") for name in ("known", "new"))
        self.daemon = self.start(*TLS_FLAGS, "--tokens-file", "tokens", *self.flags)
        self.ann = self.client(self.daemon, self.token)
        self.ann.ensure_model("m")
        self.ann.publish("m", b"1")

    def assert_served(self, client: BlockingClient | None = None) -> None:
        """
        Check that a client is served.
        """
        self.assertEqual((client or self.ann).latest("m").version_number, 1)

    def connect(self, count: int, sent: bytes, port: int | None = None, host: str = "127.0.0.1") -> list[socket.socket]:
        """
        Connect, and send some bytes on each connection.  Some may be closed at once.
        """
        found = []
        for _ in range(count):
            connection = socket.create_connection((host, port or self.daemon.port), timeout=60)
            self.addCleanup(connection.close)
            found.append(connection)
            connection.sendall(sent)
        return found

    def raw_channel(self, port: int | None = None, host: str = "localhost", **options: int) -> grpc.Channel:
        """
        Return a separate channel of gRPC, with TLS unless it is to another port.
        """
        settings = [("grpc.use_local_subchannel_pool", 1), *((f"grpc.{name}", each) for name, each in options.items())]
        if port is None:
            trusted = grpc.ssl_channel_credentials(self.ca.cert_pem.bytes())
            channel = grpc.secure_channel(f"{host}:{self.daemon.port}", trusted, settings)
        else:
            channel = grpc.insecure_channel(f"127.0.0.1:{port}", settings)
        self.addCleanup(channel.close)
        return channel

    def call(self, channel: grpc.Channel, name: str, *, streams: bool = False, **options: Any) -> Any:
        """
        Make a call of raw messages.
        """
        make: Any = channel.unary_stream if streams else channel.unary_unary
        return make(name)(options.pop("request", b""), **options)

    def lines(self, part: str) -> list[str]:
        """
        Return the lines of the log that contain something.
        """
        return [line for line in self.daemon.lines if part in line]


class LocalTests(StrangersTestCase):
    """
    Strangers on this machine, or behind a proxy on it.
    """

    def test_wrong_tokens(self) -> None:
        """
        After many wrong tokens a client that was accepted is served, and so is a new one after a short wait; the log
        has a line, and no token.
        """
        with Stranger("127.0.0.1", self.daemon.port, PATH, 20, 2_000) as stranger:
            self.assert_served()
            stranger.wait()
        self.assertGreaterEqual(stranger.counts["answered"], 1_900)
        self.assertEqual(stranger.counts["connections"], 1, "a proxy's connection is not closed")
        self.assert_served()
        self.assert_served(self.client(self.daemon, self.new, retry_seconds=30))
        self.assertEqual(len(self.lines("calls were refused")), 1)
        self.assertNotIn("trg_", "".join(self.lines("calls were refused")))

    def test_wide_messages(self) -> None:
        """
        Messages of 60 MiB without a token, and with a wrong one, are refused unread.
        """
        before_bytes = self.daemon.memory_bytes()
        message = bytes(60 * MIB)
        for metadata in ([], [("authorization", "Bearer wrong")]):
            for name in (f"/{SERVICE_NAME}/RetrieveModels", f"/{REGISTRY_SERVICE_NAME}/CreateModel"):
                channel = self.raw_channel(max_send_message_length=-1)
                error: Any = self.assertRaises(
                    grpc.RpcError, self.call, channel, name, request=message, metadata=metadata, timeout=60
                )
                self.assertEqual(error.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertLess(self.daemon.memory_bytes(peak=True) - before_bytes, 40 * MIB)

    def test_plaintext(self) -> None:
        """
        Plaintext at the port of TLS is disconnected, and prints nothing.
        """
        printed = len(self.daemon.lines)
        for connection in self.connect(200, HTTP2):
            self.assertFalse(connection.recv(1))
        self.assert_served()
        self.assertEqual(self.daemon.lines[printed:], [])


class RemoteTests(StrangersTestCase):
    """
    Strangers on another machine.
    """

    flags = ("--interface", "0.0.0.0", "--max-connections", "120", "--max-connections-per-client", "40")

    def setUp(self) -> None:
        """
        Find an address of another machine: this one's is as good.
        """
        address = address_of_this_machine()
        if address is None:
            raise SkipTest("this machine has only a loopback interface")
        self.address, self.hosts = address, (*self.hosts, address)
        super().setUp()

    def remote_client(self, token: str, retry_seconds: float = 0.0) -> BlockingClient:
        """
        Return a client at the same address as the stranger.
        """
        return self.client(self.daemon, token, retry_seconds, host=self.address)

    def test_wrong_tokens(self) -> None:
        """
        A stranger with wrong tokens is disconnected after a hundred.  Clients at the same address are served: one that
        was accepted before, and a new one on its own connection.
        """
        known, new = self.remote_client(self.known), self.remote_client(self.new)
        self.assert_served(known)
        with Stranger(self.address, self.daemon.port, PATH, 20, 3_000) as stranger:
            self.assert_served(known)
            stranger.wait()
        self.assertGreater(stranger.counts["connections"], 10)
        self.assert_served(known)
        self.assert_served(new)
        self.daemon.wait_for("closed [0-9]+ connections whose clients went on to send wrong credentials")

    def test_throttled(self) -> None:
        """
        After ten wrong tokens the next one on the connection is not checked, and the error says how long to wait.
        """
        wrong = self.remote_client("wrong")
        for _ in range(10):
            self.assertRaises(NotAuthenticated, wrong.latest, "m")
        self.assertRaises(NotAuthenticated, wrong.latest, "m")
        error = self.assertRaises(SignInsThrottled, wrong.latest, "m")
        self.assertTrue(0 < error.retry_after_seconds <= 6, error)

    def test_connections(self) -> None:
        """
        A client with more connections than it may have loses the newest, and keeps the ones that it uses.
        """
        request = api.VersionUpdateRequest(model_id="m").SerializeToString()
        metadata = [("authorization", f"Bearer {self.known}")]
        channel = self.raw_channel(host=self.address)
        updates = self.call(channel, f"/{SERVICE_NAME}/VersionUpdate", streams=True, request=request, metadata=metadata)
        next(updates)
        self.connect(60, HALF_A_HANDSHAKE, host=self.address)
        self.daemon.wait_for(f"{self.address} has [0-9]+ connections; --max-connections-per-client is 40")
        self.ann.publish("m", b"2")
        self.assertEqual(api.VersionUpdateReply.FromString(next(updates)).version_info.version_number, 2)


class HalfHandshakesTests(StrangersTestCase):
    """
    Strangers that connect, and begin a handshake that they do not end.
    """

    flags = ("--max-connections", "100", "--health-port", "0")

    def test_others_are_served(self) -> None:
        """
        Those near the limit are closed, so that new clients come in; one that is connected is served all the time.
        """
        self.connect(120, HALF_A_HANDSHAKE)
        self.assert_served()
        self.daemon.wait_for("--max-connections is 100")
        self.assert_served(self.client(self.daemon, self.token, retry_seconds=60))

    def test_health_port(self) -> None:
        """
        Connections and calls at the port for health checks have separate limits, and are closed as well.
        """
        port = int(self.daemon.wait_for(r"health checks are answered at \S+:(\d+)")[1])
        silent = self.connect(50, frames.greeting(), port)
        self.assert_served(self.client(self.daemon, self.token))
        wait_until(lambda: self.health(port) == health_pb2.HealthCheckResponse.SERVING, "a probe is answered")
        for connection in silent:
            self.assertTrue(_is_closed(connection))

    def health(self, port: int) -> int:
        """
        Return the health, or 0 if the port is full.
        """
        try:
            reply = self.call(self.raw_channel(port), f"{HEALTH}Check", timeout=5)
            return int(health_pb2.HealthCheckResponse.FromString(reply).status)
        except grpc.RpcError:
            return 0


class HealthCallsTests(StrangersTestCase):
    """
    Strangers that watch the health.
    """

    flags = ("--max-calls", "4", "--health-port", "0")

    def test_they_do_not_count(self) -> None:
        """
        Many watches, at either port, take none of the calls of others; there is a limit on them, too.
        """
        port = int(self.daemon.wait_for(r"health checks are answered at \S+:(\d+)")[1])
        channels = [self.raw_channel(), *(self.raw_channel(port) for _ in range(3))]
        watches = [self.call(channel, f"{HEALTH}Watch", streams=True) for channel in channels for _ in range(20)]
        ended = 0
        for watch in watches:
            try:
                next(watch)
            except grpc.RpcError as error:
                self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, error)
                ended += 1
        self.assertEqual(ended, 30, "an address may have half of the hundred")
        self.assert_served()


class DescriptorsTests(StrangersTestCase):
    """
    A daemon at its limit on descriptors.
    """

    def test_it_stays_up(self) -> None:
        """
        Clients that are connected are served, calls that need a file fail and say why, the log says what to do, and all
        is well once the strangers are gone.
        """
        channel = self.raw_channel()
        self.call(channel, f"{HEALTH}Check", timeout=60)
        opened = len(list(Path(f"/proc/{self.daemon.process.pid}/fd").iterdir()))
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, (opened + 30, 10_000))
        held = self.connect(60, HALF_A_HANDSHAKE)
        self.assert_served()
        self.call(channel, f"{HEALTH}Check", timeout=60)
        self.daemon.wait_for("file descriptors are open, and the limit is .*LimitNOFILE")
        for connection in held:
            connection.close()
        wait_until(self.can_archive, "files can be opened again")
        self.assert_served(self.client(self.daemon, self.token, retry_seconds=60))

    def can_archive(self) -> bool:
        """
        Return whether an archived version is created.
        """
        try:
            return self.ann.archive("m@1").archived
        except RegistryError:
            return False


def _is_closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True
