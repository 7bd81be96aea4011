"""
Tests of readiness: a daemon that cannot store versions says so, and reading goes on.
"""

import shutil
import urllib.error
import urllib.request

from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tests.support.cli import invoke
from tests.support.daemon import Daemon, free_port
from tests.support.holds import DATA, HeldArchiveTestCase
from tests.support.registry_case import RegistryTestCase
from twisted_registry.protocol.messages import REGISTRY_SERVICE_NAME, SERVICE_NAME, WRITES_NAME

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


class ReadinessTestCase(RegistryTestCase):
    """
    A test case with a daemon whose disk refuses writes on demand, and with a web edge.
    """

    def prepare(self) -> None:
        """
        Install the plugin that offers the archive.
        """
        self.control = self.directory / "errno"
        self.web_port = free_port()
        shutil.copytree(DATA / "refusing_provider", self.directory / "plugins")

    def make_daemon(self, *flags: str) -> Daemon:
        """
        Make a daemon on that archive.
        """
        archive = f"refusing:{self.archive}:{self.control}"
        environment = {"PYTHONPATH": str(self.directory / "plugins")}
        all_flags = ["--archive", archive, "--http-port", str(self.web_port), *self.flags, *flags]
        return Daemon(self.directory, all_flags, environment, is_forked=self.is_forked)

    def page(self, path: str) -> tuple[int, str]:
        """
        Return the status and the text of a page.
        """
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}") as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_for_writes(self, status: int) -> None:
        """
        Wait until the health of writes has this status.
        """
        self.wait_until_true(lambda: self.client.health(WRITES_NAME) == status, f"the health of writes is {status}")

    def assert_not_writable(self, reason: str) -> None:
        """
        Check what probes are answered while versions cannot be stored.
        """
        for name in ("", SERVICE_NAME, REGISTRY_SERVICE_NAME):
            self.assertEqual(self.client.health(name), SERVING)
        self.assertEqual(self.page("/readyz"), (200, "ok\n"))
        status, text = self.page("/readyz/writes")
        self.assertEqual(status, 503)
        self.assertIn(reason, text)
        self.assertIn("\ntwisted_registry_writes_ready 0.0\n", self.page("/metrics")[1])
        for words, code, line in (((), 0, "serving"), (("--writes",), 1, "not serving writes")):
            done = invoke("", "health", "--server", self.daemon.address, *words)
            self.assertEqual((done.exit_code, done.stdout), (code, f"{self.daemon.address}: {line}\n"))

    def assert_writable(self) -> None:
        """
        Check what probes are answered while versions can be stored.
        """
        for path in ("/readyz", "/readyz/writes"):
            self.assertEqual(self.page(path), (200, "ok\n"))
        self.assertIn("\ntwisted_registry_writes_ready 1.0\n", self.page("/metrics")[1])
        done = invoke("", "health", "--server", self.daemon.address, "--writes")
        self.assertEqual((done.exit_code, done.stdout), (0, f"{self.daemon.address}: serving writes\n"))


class RefusedWritesTests(ReadinessTestCase):
    """
    The disk accepts no writes for a while.
    """

    def test_read_only(self) -> None:
        """
        After the first failed write, the health of writes is NOT_SERVING, with the reason; reading goes on, and when
        the disk accepts writes again, the health does so by itself.
        """
        self.client.save_model("m")
        self.client.create("m", b"archived", archived=True)
        self.assertEqual(self.client.health(WRITES_NAME), SERVING)
        self.assert_writable()
        self.control.write_text("EROFS")
        self.assert_refused(StatusCode.FAILED_PRECONDITION, lambda: self.client.create("m", b"x", archived=True))
        self.wait_for_writes(NOT_SERVING)
        self.assert_not_writable("the archive cannot be written: Read-only file system")
        self.assertEqual(self.client.data("m", 1), b"archived")
        self.wait_until_logged("versions cannot be stored in")
        self.control.unlink()
        self.wait_for_writes(SERVING)
        self.assert_writable()
        self.wait_until_logged("versions can be stored again in")

    def test_noticed_without_a_write(self) -> None:
        """
        A disk that has become full is noticed although no client writes.
        """
        self.control.write_text("ENOSPC")
        self.wait_for_writes(NOT_SERVING)
        self.assert_not_writable("No space left on device")


class LittleSpaceTests(ReadinessTestCase):
    """
    The disk has less space than ``--min-free-bytes``.
    """

    flags = ("--min-free-bytes", str(2**62))

    def test_not_ready(self) -> None:
        """
        The health of writes is NOT_SERVING, though what fits is still stored.
        """
        self.wait_for_writes(NOT_SERVING)
        self.assert_not_writable("--min-free-bytes")
        self.client.save_model("m")
        self.assertEqual(self.client.create("m", b"archived", archived=True).version_number, 1)


class StalledReactorTests(HeldArchiveTestCase):
    """
    The reactor is stalled.
    """

    def test_stalled(self) -> None:
        """
        The health of writes is NOT_SERVING until the reactor runs again, and versions in memory are read.
        """
        self.client.save_model("m")
        self.client.create("m", b"first")
        self.holds.hold("reactor")
        self.wait_for_calls("reactor")
        self.addCleanup(self.holds.release, "reactor")
        self.wait_until_true(lambda: self.client.health(WRITES_NAME) == NOT_SERVING, "writes are not served")
        self.assertEqual(self.client.health(SERVICE_NAME), SERVING)
        self.assertEqual(self.client.data("m", 1), b"first")
        self.wait_until_logged("the reactor has not run for 10 s")
        self.holds.release("reactor")
        self.wait_until_true(lambda: self.client.health(WRITES_NAME) == SERVING, "writes are served")
        self.wait_until_logged("the reactor runs again")
