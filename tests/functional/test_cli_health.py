"""
Tests for the command ``health``, which a container's health check runs.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from click import UsageError
from click.testing import Result
from grpc_health.v1.health import OVERALL_HEALTH, HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from twisted.trial.unittest import SynchronousTestCase

from tests.functional.test_readme import ROOT
from tests.support.cli import TWISTED_REGISTRY, invoke
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment, free_port
from tests.support.edge import SharedEdgeTestCase
from twisted_registry.cli.commands.health import local_address
from twisted_registry.client._transport.health import SERVICE
from twisted_registry.protocol.messages import SERVICE_NAME

PORT = "COGMENT_MODEL_REGISTRY_PORT"
INTERFACE = "COGMENT_MODEL_REGISTRY_INTERFACE"


def health(server: str, port: int, interface: str, *words: str) -> Result:
    """
    Run the command.

    Args:
        server: the address in ``TWISTED_REGISTRY_SERVER``.
        port: the daemon's own port setting.
        interface: the daemon's own interface setting.
    """
    variables = {PORT: str(port), INTERFACE: interface}
    return invoke(server, "health", *words, data=b"", **variables)


class AddressTests(SynchronousTestCase):
    """
    The address of the daemon on this machine.
    """

    def test_socket(self) -> None:
        """
        It is the Unix socket if the daemon has no port.
        """
        path, alone = "COGMENT_MODEL_REGISTRY_SOCKET", "COGMENT_MODEL_REGISTRY_SOCKET_ONLY"
        for environ, address in (
            ({path: "/run/r.sock"}, "127.0.0.1:9000"),
            ({path: "unix:/run/r.sock", alone: "on"}, "unix:/run/r.sock"),
            ({path: "/run/r.sock", alone: "off"}, "127.0.0.1:9000"),
            ({path: "/run/r.sock", alone: "1", "COGMENT_MODEL_REGISTRY_HEALTH_PORT": "7"}, "127.0.0.1:7"),
        ):
            self.assertEqual(local_address(environ), address)

    def test_variables(self) -> None:
        """
        It follows the daemon's variables: unset, empty, all interfaces, one, and IPv6.
        """
        for interface, port, address in (
            (None, None, "127.0.0.1:9000"),
            ("", "", "127.0.0.1:9000"),
            ("0.0.0.0", "1", "127.0.0.1:1"),
            ("::", "1", "127.0.0.1:1"),
            ("10.0.0.1", "1", "10.0.0.1:1"),
            ("::1", "1", "[::1]:1"),
            ("[::1]", "1", "[::1]:1"),
        ):
            given = {INTERFACE: interface, PORT: port}
            environ = {name: value for name, value in given.items() if value is not None}
            self.assertEqual(local_address(environ), address)

    def test_configuration_file(self) -> None:
        """
        It follows the daemon's configuration file, which the variables override.
        """
        path = self.mktemp()
        Path(path).write_text('[network]\nport = 7\ninterface = "10.0.0.1"\n')
        config = {"COGMENT_MODEL_REGISTRY_CONFIG": path}
        self.assertEqual(local_address(config), "10.0.0.1:7")
        self.assertEqual(local_address({**config, PORT: "8", INTERFACE: "0.0.0.0"}), "127.0.0.1:8")
        Path(path).write_text("port")
        self.assertRaises(UsageError, local_address, config)

    def test_wrong_type(self) -> None:
        """
        An interface that is not text, with which the daemon does not start, is an address that nobody has.
        """
        path = self.mktemp()
        Path(path).write_text("[network]\ninterface = 5\n")
        self.assertEqual(local_address({"COGMENT_MODEL_REGISTRY_CONFIG": path}), "5:9000")


class HealthTests(SharedEdgeTestCase):
    """
    A daemon that serves, and an address without one.
    """

    def test_serving(self) -> None:
        """
        The daemon is found by the daemon's variables or the command's flag; the client's variable is ignored.
        """
        nobody = f"127.0.0.1:{free_port()}"
        line = f"127.0.0.1:{self.daemon.port}: serving\n"
        done = health(nobody, self.daemon.port, "0.0.0.0")
        self.assertEqual((done.exit_code, done.stdout, done.stderr), (0, line, ""))
        done = health(nobody, 1, "", "--server", self.daemon.address)
        self.assertEqual((done.exit_code, done.stdout), (0, line))

    def test_nobody(self) -> None:
        """
        If nothing answers, the status is 3, and stderr says why, and which variables set the address.
        """
        done = health(self.daemon.address, free_port(), "", "--deadline", "5")
        self.assertEqual((done.exit_code, done.stdout), (3, ""))
        self.assertIn("cannot reach the registry at 127.0.0.1:", done.stderr)
        self.assertIn("COGMENT_MODEL_REGISTRY_PORT", done.stderr)
        self.assertNotIn("TWISTED_REGISTRY_SERVER", done.stderr)

    def test_wrong_usage(self) -> None:
        """
        Invalid arguments end with 2.
        """
        for words in (("--deadline", "0"), ("--deadline", "nan"), ("--server", "no port"), ("more",)):
            self.assertEqual(invoke("", "health", *words).exit_code, 2, words)


class NotServingTests(SynchronousTestCase):
    """
    A daemon that answers but does not serve.
    """

    def test_not_serving(self) -> None:
        """
        While the daemon starts or stops, the status is 1.
        """
        servicer = HealthServicer()
        for service in (OVERALL_HEALTH, SERVICE_NAME):
            servicer.set(service, HealthCheckResponse.NOT_SERVING)
        server = grpc.server(ThreadPoolExecutor(max_workers=1))
        add_HealthServicer_to_server(servicer, server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        done = invoke("", "health", "--server", address)
        self.assertEqual((done.exit_code, done.stdout), (1, f"{address}: not serving\n"))


class VolumeTests(SharedEdgeTestCase):
    """
    A working directory that other users can write to.
    """

    def setUp(self) -> None:
        """
        Create files with the names of modules.
        """
        super().setUp()
        self.volume = Path(self.mktemp()).absolute()
        self.volume.mkdir(parents=True)
        for name in ("grpc", "click", "attrs", "twisted", "twisted_registry", "socket", "asyncio"):
            (self.volume / f"{name}.py").write_text("open('it-was-run', 'w')\nraise SystemExit(0)\n")

    def check(self, *command: str) -> int:
        """
        Run a command there, and check that none of the files was run.

        Returns:
            its exit status.
        """
        environment = clean_environment({PORT: str(self.daemon.port)})
        done = subprocess.run(
            command, cwd=self.volume, env=environment, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
        self.assertFalse((self.volume / "it-was-run").exists(), done.stderr)
        return done.returncode

    def test_command(self) -> None:
        """
        The command runs no file of that directory.
        """
        self.assertEqual(self.check(TWISTED_REGISTRY, "health"), 0)

    def test_image(self) -> None:
        """
        The image does not work in its volume, sets a safe path, and runs the command as its health check.
        """
        lines = (ROOT / "Dockerfile").read_text().split("\n")
        self.assertIn("WORKDIR /", lines)
        self.assertIn("    PYTHONSAFEPATH=1 \\", lines)
        self.assertTrue(any(line.endswith('CMD ["twisted-registry", "health"]') for line in lines))


class ImportTests(SharedEdgeTestCase):
    """
    The modules that a health check loads.
    """

    def test_light(self) -> None:
        """
        A check that succeeds loads gRPC, but neither asyncio, protobuf, rich nor the rest of the client.
        """
        program = (
            "import atexit, sys\n"
            "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))\n"
            f"sys.argv = ['twisted-registry', 'health', '--server', {self.daemon.address!r}]\n"
            "from twisted_registry.cli.main import main\n"
            "main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        self.assertEqual((done.returncode, done.stdout), (0, f"{self.daemon.address}: serving\n"))
        heavy = {"google.protobuf", "rich", "tenacity", "twisted", "twisted_registry.client._transport.connection"}
        loaded = set(done.stderr.split())
        self.assertIn("grpc", loaded)
        self.assertEqual(loaded & heavy, set())

    def test_service(self) -> None:
        """
        The request is for the registry's service.
        """
        self.assertEqual(SERVICE, SERVICE_NAME)
