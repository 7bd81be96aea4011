"""
Tests for ``twisted_registry.rpc.probe``.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO

import grpc
from grpc_health.v1.health import OVERALL_HEALTH, HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.daemon.kinds import local_address
from twisted_registry.rpc.probe import main

PREFIX = "COGMENT_MODEL_REGISTRY_"


class TargetTests(SynchronousTestCase):
    """
    The registry is looked for where it was told to listen.
    """

    def test_targets(self) -> None:
        """
        Unset, empty, all interfaces, one, and IPv6.
        """
        for interface, port, target in (
            (None, None, "127.0.0.1:9000"),
            ("", "", "127.0.0.1:9000"),
            ("0.0.0.0", "1", "127.0.0.1:1"),
            ("::", "1", "127.0.0.1:1"),
            ("10.0.0.1", "1", "10.0.0.1:1"),
            ("::1", "1", "[::1]:1"),
            ("[::1]", "1", "[::1]:1"),
        ):
            given = {PREFIX + "INTERFACE": interface, PREFIX + "PORT": port}
            environ = {name: value for name, value in given.items() if value is not None}
            self.assertEqual(local_address(environ), target)


class ProbeTests(SynchronousTestCase):
    """
    The exit status is the registry's health.
    """

    def setUp(self) -> None:
        """
        Run a server that can be well or not.
        """
        self.health = HealthServicer()
        self.server = grpc.server(ThreadPoolExecutor(max_workers=1))
        add_HealthServicer_to_server(self.health, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.addCleanup(lambda: self.server.stop(None).wait())

    def probe(self) -> tuple[int, str]:
        """
        Probe it; give the status and the line.
        """
        said = StringIO()
        with redirect_stdout(said):
            status = main([], {PREFIX + "PORT": str(self.port)})
        return status, said.getvalue()

    def test_serving(self) -> None:
        """
        Where it serves: 0.
        """
        self.health.set(OVERALL_HEALTH, HealthCheckResponse.SERVING)
        self.assertEqual(self.probe(), (0, f"127.0.0.1:{self.port}: SERVING\n"))

    def test_not_serving(self) -> None:
        """
        Where it is starting or stopping: 1.
        """
        self.health.set(OVERALL_HEALTH, HealthCheckResponse.NOT_SERVING)
        self.assertEqual(self.probe(), (1, f"127.0.0.1:{self.port}: NOT_SERVING\n"))

    def test_nobody(self) -> None:
        """
        Where nothing answers: 1.
        """
        self.server.stop(None).wait()
        status, said = self.probe()
        self.assertEqual((status, said.count("\n")), (1, 1))
        self.assertIn("UNAVAILABLE", said)
