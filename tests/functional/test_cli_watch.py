"""
Tests for the command ``watch``.
"""

import json
import subprocess
from pathlib import Path

from tests.support.cli import interrupt, invoke, started
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.damage import flip_bit
from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_case import RegistryTestCase


def line(process: "subprocess.Popen[bytes]") -> str:
    """
    Wait for the next line.
    """
    assert process.stdout is not None
    return process.stdout.readline().decode()


class WatchTests(SharedEdgeTestCase):
    """
    The command that prints new versions.
    """

    def test_lines(self) -> None:
        """
        It starts with the latest version, and prints a line for each new one at once; Ctrl-C ends it with 130.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"1")
        self.client.create(self.model_id, b"2")
        with started(self.daemon.address, "watch", self.model_id) as process:
            self.assertEqual(line(process), f"{self.model_id}@2  1 byte  transient\n")
            self.client.create(self.model_id, bytes(3), archived=True)
            self.assertEqual(line(process), f"{self.model_id}@3  3 bytes  archived\n")
            said = f"twisted-registry: interrupted: the last version was {self.model_id}@3\n".encode()
            self.assertEqual(interrupt(process), (130, said))

    def test_json(self) -> None:
        """
        With --json each version is an object.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"1")
        done = invoke(self.daemon.address, "watch", "--once", "--json", self.model_id)
        self.assertEqual(json.loads(done.stdout)["version_number"], 1)

    def test_newer(self) -> None:
        """
        With MODEL@N it starts with the first version after N.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"1")
        with started(self.daemon.address, "watch", "--once", f"{self.model_id}@2") as process:
            self.wait_for_subscribers(1)
            self.client.create(self.model_id, b"2")
            self.client.create(self.model_id, b"3")
            self.assertTrue(line(process).startswith(f"{self.model_id}@3 "))
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)
        self.assertEqual(invoke(self.daemon.address, "watch", f"{self.model_id}@-2").exit_code, 2)

    def test_pull(self) -> None:
        """
        With --pull the file contains a version when its line is printed.
        """
        path = Path(self.mktemp())
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"first")
        with started(self.daemon.address, "watch", "--pull", path, self.model_id) as process:
            self.assertTrue(line(process).startswith(f"{self.model_id}@1 "))
            self.assertEqual(path.read_bytes(), b"first")
            self.client.create(self.model_id, b"second")
            self.assertTrue(line(process).startswith(f"{self.model_id}@2 "))
            self.assertEqual(path.read_bytes(), b"second")
        self.assertEqual(invoke(self.daemon.address, "watch", "--pull", ".", self.model_id).exit_code, 2)

    def test_wait(self) -> None:
        """
        With --wait it waits for a model that does not exist; without, that is 1.
        """
        self.assertEqual(invoke(self.daemon.address, "watch", self.model_id).exit_code, 1)
        with started(self.daemon.address, "watch", "--wait", "--once", self.model_id) as process:
            self.client.save_model(self.model_id)
            self.client.create(self.model_id, b"1")
            self.assertTrue(line(process).startswith(f"{self.model_id}@1 "))
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)

    def test_model_id_with_at_sign(self) -> None:
        """
        An @ in a model's id is written %40.
        """
        self.client.save_model("team@eu")
        self.client.create("team@eu", b"1")
        done = invoke(self.daemon.address, "watch", "--once", "team%40eu")
        self.assertEqual((done.exit_code, done.stdout.split()[0]), (0, "team%40eu@1"))

    def test_alias(self) -> None:
        """
        With MODEL@ALIAS it prints the version that the alias names, also an older one, until the alias is removed.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"1")
        self.client.create(self.model_id, b"2")
        production = f"{self.model_id}@production"
        with started(self.daemon.address, "watch", "--wait", production) as process:
            for number in (2, 1):
                moved = invoke(self.daemon.address, "alias", "set", f"{self.model_id}@{number}", "production")
                self.assertEqual(moved.exit_code, 0)
                self.assertEqual(line(process), f"{self.model_id}@{number}  1 byte  archived\n")
            invoke(self.daemon.address, "alias", "rm", production)
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 1)
            assert process.stderr is not None
            self.assertIn(b"has no alias production", process.stderr.read())

    def test_deleted(self) -> None:
        """
        When the model is deleted it exits with 1 and one line.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"1")
        with started(self.daemon.address, "watch", self.model_id) as process:
            line(process)
            self.wait_for_subscribers(1)
            self.client.delete_model(self.model_id)
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 1)
            assert process.stderr is not None
            self.assertIn(b"there is no model", process.stderr.read())

    def test_nobody_reads(self) -> None:
        """
        If the reader of the pipe is gone, the command ends silently at the next version.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"1")
        with started(self.daemon.address, "watch", self.model_id) as process:
            line(process)
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            self.client.create(self.model_id, b"2")
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 2)
            self.assertEqual(process.stderr.read(), b"")


class RestartTests(RegistryTestCase):
    """
    A server that restarts.
    """

    keeps_port = True

    def setUp(self) -> None:
        """
        Make a model with an archived version.
        """
        super().setUp()
        self.client.save_model("m")
        self.client.create("m", b"1", archived=True)

    def start_again(self) -> None:
        """
        Start the daemon again on the same port.
        """
        self.daemon = self.start_daemon()
        self.client = self.connect()

    def test_restart(self) -> None:
        """
        It continues after the server was killed and started again.
        """
        path = Path(self.mktemp())
        with started(self.daemon.address, "watch", "--retry-seconds", "0", "--pull", path, "m") as process:
            line(process)
            self.wait_for_subscribers(1)
            self.daemon.kill()
            self.start_again()
            self.client.create("m", b"2", archived=True)
            self.assertRegex(line(process), r"^m@\d+ ")
        self.assertEqual(path.read_bytes(), b"2")

    def test_wait_for_the_server(self) -> None:
        """
        Without --wait an unreachable server is 3; with it, the command waits.
        """
        self.daemon.kill()
        self.assertEqual(invoke(self.daemon.address, "watch", "--retry-seconds", "0", "m").exit_code, 3)
        with started(self.daemon.address, "watch", "--wait", "--once", "m") as process:
            self.start_again()
            self.assertTrue(line(process).startswith("m@1 "))

    def test_damaged(self) -> None:
        """
        A damaged version is reported on stderr, and the next one is pulled.
        """
        path = Path(self.mktemp())
        self.daemon.kill()
        flip_bit(self.archive / "m" / "m-v000001.data")
        self.start_again()
        with started(self.daemon.address, "watch", "--once", "--pull", path, "m") as process:
            assert process.stderr is not None
            self.assertIn(b"version 1 of model m is damaged", process.stderr.readline())
            self.client.create("m", b"2")
            self.assertRegex(line(process), r"^m@\d+ ")
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)
        self.assertEqual(path.read_bytes(), b"2")
