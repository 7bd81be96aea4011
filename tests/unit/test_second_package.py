"""
Tests for adding a service of a second proto package: what it takes, and what the server does for it by itself.
"""

import re
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import DEADLINE_SECONDS
from tests.support.reflected import ReflectedClient
from tests.support.toys import PROTO, PROTO_ROOT, toys, toys_service
from twisted_registry.config.limits import ClientLimits, Limits
from twisted_registry.config.network import NetworkSettings
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.observability.access_log import AccessLog
from twisted_registry.protocol.error_map import from_metadata
from twisted_registry.rpc.options import ServerOptions
from twisted_registry.rpc.server import RpcServer

ROOT = Path(__file__).parents[2]

ADDED_FILES = (
    PROTO_ROOT / PROTO,  # under protos/ if it were a package of the registry
    ROOT / "tests/support/toys.py",  # the handler and the method table: a module of rpc/services/
    ROOT / "twisted_registry/protocol/messages.py",  # the names of the messages
    ROOT / "twisted_registry/rpc/server.py",  # the service itself
    ROOT / "tests/unit/test_second_package.py",
)
"""All files that adding the call touches, documentation and the news fragment aside."""


class InlineReactor:
    """
    A reactor whose thread is that of the caller.
    """

    def callFromThread(self, function: Any, *args: Any) -> None:
        """
        Call a function.
        """
        function(*args)


class EmptyRegistry:
    """
    A registry that no call reaches.
    """

    def subscribe(self, listener: object, *event_types: object) -> None:
        """
        Ignore a listener.
        """


class ToysTestCase(SynchronousTestCase):
    """
    A test case with a server that has the toy service, for each test.

    Attributes:
        access_log: whether the server logs its calls.
    """

    access_log = True

    def setUp(self) -> None:
        """
        Start a server, and collect what it logs.
        """
        self.events: list[Any] = []
        self.lines: list[str] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        reactor: Any = InlineReactor()
        registry: Any = EmptyRegistry()
        limits = Limits(uploads_max_bytes=2**20, downloads_max_bytes=2**20)
        options = ServerOptions(
            network=NetworkSettings(port=0, chunk_size_bytes=2**16, reflection=True),
            limits=limits,
            clients=ClientLimits(10, 10, 100, 100),
            access_log=self.make_access_log() if self.access_log else None,
            services=[toys_service()],
        )
        self.server = RpcServer(reactor, registry, ArchiveStatus(), options)
        port = self.server.start(self.fail)
        self.server.serve(lambda: None)
        self.addCleanup(self.stop)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.addCleanup(self.channel.close)

    def stop(self) -> None:
        """
        Stop the server.
        """
        self.server.stop(0)
        self.server.join()

    def play(self, toy: str, *metadata: tuple[str, str]) -> Any:
        """
        Make the call.
        """
        stub = self.channel.unary_unary(
            "/toys.v1.Toys/Play", toys.PlayRequest.SerializeToString, toys.PlayReply.FromString
        )
        return stub(toys.PlayRequest(toy=toy), metadata=metadata, timeout=DEADLINE_SECONDS)

    def failure(self, toy: str, *metadata: tuple[str, str]) -> Any:
        """
        Make a call that fails, and return how.
        """
        return self.assertRaises(grpc.RpcError, self.play, toy, *metadata)

    def access_lines(self) -> list[str]:
        """
        Stop the server, so that all calls are logged, and return the lines of the access log.
        """
        self.stop()
        return self.lines

    def make_access_log(self) -> AccessLog:
        """
        Make an access log of all calls, which writes to ``lines``.
        """
        return AccessLog(
            lambda make: self.lines.append(make()),
            share=1.0,
            slow_seconds=1.0,
            form=lambda when, level, logger, message, fields: message,
        )


class SecondPackageTests(ToysTestCase):
    """
    The server treats the toy service as its own.
    """

    def test_few_files(self) -> None:
        """
        Adding the call touches fewer than ten files: no others know of it.
        """
        sources = [path for folder in ("twisted_registry", "tests") for path in (ROOT / folder).rglob("*.py")]
        knowing = {path for path in sources if "toys" in path.read_text(encoding="utf-8")}
        self.assertLessEqual(knowing, set(ADDED_FILES))
        self.assertTrue(all(path.is_file() for path in ADDED_FILES))
        self.assertLess(len(ADDED_FILES), 10)

    def test_served(self) -> None:
        """
        The call is served.
        """
        self.assertEqual(self.play("drum").sound, "drum!")

    def test_reflection(self) -> None:
        """
        Reflection lists and describes the service.
        """
        reflected = ReflectedClient(self.channel)
        self.assertIn("toys.v1.Toys", reflected.database.get_services())
        self.assertEqual(reflected.describe("toys.v1.Toys"), {"Play": "(toys.v1.PlayRequest) (toys.v1.PlayReply)"})
        self.assertEqual(reflected.call("toys.v1.Toys/Play", '{"toy": "drum"}'), [{"sound": "drum!"}])

    def test_access_log(self) -> None:
        """
        Each call is logged with its method, peer, code, duration and request id.
        """
        self.play("drum", ("x-request-id", "r-1"))
        self.failure("lost")
        served, failed = self.access_lines()
        self.assertRegex(
            served,
            r"^/toys.v1.Toys/Play of 'drum' from ipv4:127.0.0.1:\d+: OK after .* ms, 6 bytes in, 7 out, request r-1$",
        )
        self.assertRegex(failed, r": NOT_FOUND \(UNKNOWN_MODEL\) after .* request [0-9a-f]{16}$")

    def test_access_log_of_health_and_reflection(self) -> None:
        """
        Calls of the standard services are logged too.
        """
        check = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            HealthCheckRequest.SerializeToString,
            HealthCheckResponse.FromString,
        )
        check(HealthCheckRequest(), timeout=DEADLINE_SECONDS)
        ReflectedClient(self.channel).database.get_services()
        self.channel.close()
        text = "\n".join(self.access_lines())
        self.assertIn("/grpc.health.v1.Health/Check from", text)
        self.assertIn("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo from", text)

    def test_registry_error(self) -> None:
        """
        An error of the registry arrives with its code and details.
        """
        failure = self.failure("lost")
        self.assertEqual(failure.code(), grpc.StatusCode.NOT_FOUND)
        self.assertIsInstance(from_metadata(failure.trailing_metadata()), UnknownModel)

    def test_bad_request(self) -> None:
        """
        Bytes that are not a request are INVALID_ARGUMENT.
        """
        call: Any = self.channel.unary_unary("/toys.v1.Toys/Play", bytes, bytes)
        failure: Any = self.assertRaises(grpc.RpcError, call, b"\xff", timeout=DEADLINE_SECONDS)
        self.assertEqual(failure.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_bug(self) -> None:
        """
        An unexpected error is INTERNAL, and is logged with the incident's id and the request's.
        """
        failure = self.failure("broken", ("x-request-id", "r-2"))
        self.assertEqual(failure.code(), grpc.StatusCode.INTERNAL)
        self.assertNotIn("secret", failure.details())
        (incident,) = re.findall("[0-9a-f]{12}", failure.details())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        lines = [event["log_format"].format(**event) for event in self.events if event.get("log_failure")]
        self.assertEqual(lines, [f"incident {incident} in request r-2"])


class NoAccessLogTests(ToysTestCase):
    """
    The same server without an access log.
    """

    access_log = False

    def test_nothing_is_logged(self) -> None:
        """
        Nothing is logged for a call.
        """
        self.play("drum", ("x-request-id", "r-1"))
        self.assertEqual(self.access_lines(), [])
