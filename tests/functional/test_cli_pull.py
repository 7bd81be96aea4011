"""
Tests for the command ``pull``.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import ClassVar

from tests.support.cli import Terminal, interrupt, invoke, run, started
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.damage import flip_bit
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from tests.support.holds import HeldArchiveTestCase
from tests.support.registry_case import RegistryTestCase


class PullTests(SharedEdgeTestCase):
    """
    Retrieval of versions.
    """

    def setUp(self) -> None:
        """
        Make a model of three versions, and a directory to pull into.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        for number in (1, 2, 3):
            self.client.create(self.model_id, b"data %d" % number)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "model"

    def pull(self, version: str, *arguments: str) -> str:
        """
        Pull a version to the file, and return what is printed.
        """
        done = invoke(self.daemon.address, "pull", f"{self.model_id}{version}", self.path, *arguments)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        return done.stdout

    def test_versions(self) -> None:
        """
        The version is the latest, or the one with a number, or counted from the end.
        """
        for version, number in {"": 3, "@latest": 3, "@2": 2, "@-1": 3, "@-3": 1}.items():
            self.assertEqual(self.pull(version), f"{self.model_id}@{number}  6 bytes  transient\n")
            self.assertEqual(self.path.read_bytes(), b"data %d" % number)

    def test_json(self) -> None:
        """
        With --json the pulled version is printed as an object.
        """
        self.assertEqual(json.loads(self.pull("@2", "--json"))["version_number"], 2)

    def test_stdout(self) -> None:
        """
        For - the data, and only the data, goes to stdout.
        """
        data = os.urandom(5_000_000)
        self.client.create(self.model_id, data)
        done = run(self.daemon.address, "pull", self.model_id, "-")
        self.assertEqual((done.returncode, done.stdout == data, done.stderr), (0, True, b""))
        self.assertEqual(invoke(self.daemon.address, "pull", self.model_id, "-", "--json").exit_code, 2)

    def test_terminal(self) -> None:
        """
        Nothing is written to stdout if it is a terminal.
        """
        with Terminal() as terminal:
            done = run(
                self.daemon.address,
                "pull",
                self.model_id,
                "-",
                capture_output=False,
                stdout=terminal.child,
                stderr=subprocess.PIPE,
            )
            terminal.let_go()
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"stdout is a terminal", done.stderr)

    def test_link(self) -> None:
        """
        The target of a link is replaced, not the link.
        """
        link = self.folder / "link"
        link.symlink_to(self.path)
        invoke(self.daemon.address, "pull", self.model_id, link)
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.path.read_bytes(), b"data 3")

    def test_pipe(self) -> None:
        """
        A pipe or a device is written to, not replaced by a file.
        """
        os.mkfifo(self.path)
        with started(self.daemon.address, "pull", self.model_id, self.path) as process:
            self.assertEqual(self.path.read_bytes(), b"data 3")
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)
        self.assertTrue(self.path.is_fifo())

    def test_no_file(self) -> None:
        """
        A directory, an empty name, and a path that does not exist are 2.
        """
        for file in (self.folder, "", self.folder / "none" / "model"):
            done = invoke(self.daemon.address, "pull", self.model_id, file)
            self.assertEqual((done.exit_code, done.stdout), (2, ""))
            self.assertNotIn(".part", done.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_full_disk(self) -> None:
        """
        If stdout cannot be written: 2, one line, and no traceback.
        """
        with open("/dev/full", "wb") as full:
            done = run(
                self.daemon.address,
                "pull",
                self.model_id,
                "-",
                capture_output=False,
                stdout=full,
                stderr=subprocess.PIPE,
            )
        self.assertEqual((done.returncode, done.stderr), (2, b"twisted-registry: stdout: No space left on device\n"))

    def test_nobody_reads(self) -> None:
        """
        If the reader of the pipe is gone, the command ends silently.
        """
        self.client.create(self.model_id, bytes(5_000_000))
        with started(self.daemon.address, "pull", self.model_id, "-") as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 2)

    def test_not_there(self) -> None:
        """
        An unknown version or model: 1, and an existing file is unchanged.
        """
        self.path.write_bytes(b"before")
        for reference in (f"{self.model_id}@4", f"{self.model_id}@-4", "nobody"):
            self.assertEqual(invoke(self.daemon.address, "pull", reference, self.path).exit_code, 1)
        self.assertEqual(self.path.read_bytes(), b"before")


class DamagedTests(EdgeTestCase):
    """
    A version whose data is damaged.
    """

    flags: ClassVar = ["--version-cache-max-bytes", "1000"]

    def test_nothing_is_left(self) -> None:
        """
        If the hash does not match: 1, nothing is left behind, and the old file stays.
        """
        self.client.save_model("m")
        self.client.create("m", bytes(10_000), archived=True)
        flip_bit(self.archive / "m" / "m-v000001.data", 9_999)
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.assertEqual(invoke(self.daemon.address, "pull", "m", folder / "new").exit_code, 1)
        self.assertEqual(list(folder.iterdir()), [])
        (folder / "old").write_bytes(b"before")
        done = invoke(self.daemon.address, "pull", "m", folder / "old")
        self.assertIn("damaged", done.stderr)
        self.assertEqual([path.read_bytes() for path in folder.iterdir()], [b"before"])


class AwayTests(RegistryTestCase):
    """
    A server that stops during a transfer.
    """

    keeps_port = True

    def test_restart(self) -> None:
        """
        If the server is killed and started again during a pull, the pull continues, and its data is complete.
        """
        data = os.urandom(48_000_000)
        self.client.save_model("m")
        self.client.create("m", data, archived=True)
        with started(self.daemon.address, "pull", "--retry-seconds", str(TIMEOUT_SECONDS), "m", "-") as process:
            assert process.stdout is not None
            begin = process.stdout.read(1000)
            self.daemon.kill()
            self.daemon = self.start_daemon()
            self.assertTrue(begin + process.stdout.read() == data)
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)

    def test_gone(self) -> None:
        """
        If the server is killed for good while an archived version is half read: 3 once the retry time ends.
        """
        self.client.save_model("m")
        self.client.create("m", bytes(48_000_000), archived=True)
        with started(self.daemon.address, "pull", "--retry-seconds", "0.1", "m", "-") as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.read(1000)
            self.daemon.kill()
            process.stdout.read()
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 3)
            self.assertEqual(process.stderr.read().count(b"\n"), 1)


class SlowTests(HeldArchiveTestCase):
    """
    A transfer that the test delays.
    """

    flags: ClassVar = ["--version-cache-max-bytes", "1000"]

    def setUp(self) -> None:
        """
        Make a version that is not in the daemon's memory, and a directory to pull into.
        """
        super().setUp()
        self.client.save_model("m")
        self.client.create("m", bytes(10_000_000), archived=True)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def test_interrupted(self) -> None:
        """
        Ctrl-C during a pull: 130, one line, no new file, and an existing file is unchanged.
        """
        path = self.folder / "model"
        path.write_bytes(b"before")
        self.holds.hold("read")
        with started(self.daemon.address, "pull", "m", path) as process:
            self.wait_for_calls("read")
            self.assertEqual(path.read_bytes(), b"before")
            said = f"twisted-registry: interrupted: {path} is unchanged\n".encode()
            self.assertEqual(interrupt(process), (130, said))
        self.assertEqual([each.read_bytes() for each in self.folder.iterdir()], [b"before"])
        self.holds.release("read")

    def test_terminated(self) -> None:
        """
        SIGTERM during a pull: 143, and no file is left.
        """
        self.holds.hold("read")
        with started(self.daemon.address, "pull", "m", self.folder / "model") as process:
            self.wait_for_calls("read")
            process.terminate()
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 143)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.holds.release("read")

    def test_bar(self) -> None:
        """
        A pull that takes long shows a bar on a terminal, with size and remaining time, and removes it at the end.
        """
        self.holds.hold("read")
        with (
            Terminal() as terminal,
            started(self.daemon.address, "pull", "m", self.folder / "model", stderr=terminal.child) as process,
        ):
            terminal.let_go()
            terminal.wait_for(b"-:--:--")
            self.holds.release("read")
            terminal.read_all()
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)
            assert process.stdout is not None
            self.assertEqual(process.stdout.read(), b"m@1  10.0 MB  archived\n")
        for part in (b"receiving", b"/10.0 MB", b"\x1b[?25h"):
            self.assertIn(part, terminal.shown)

    def test_push_bar(self) -> None:
        """
        A push that takes longer than a second shows a bar too; Ctrl-C removes it, and restores the cursor.
        """
        path = self.folder / "model"
        path.write_bytes(bytes(30_000_000))
        self.holds.hold("write")
        with (
            Terminal() as terminal,
            started(self.daemon.address, "push", "--archive", "m", path, stderr=terminal.child) as process,
        ):
            terminal.let_go()
            terminal.wait_for(b"/30.0 MB")
            self.assertEqual(interrupt(process)[0], 130)
            terminal.read_all()
        self.assertIn(b"sending", terminal.shown)
        self.assertIn(b"\x1b[?25h", terminal.shown)
        self.holds.release("write")

    def test_no_bar_in_a_pipe(self) -> None:
        """
        In a pipe no bar is shown, however long the pull takes.
        """
        self.holds.hold("read")
        with started(self.daemon.address, "pull", "m", self.folder / "1") as unseen, Terminal() as terminal:
            self.wait_for_calls("read")
            with started(self.daemon.address, "pull", "m", self.folder / "2", stderr=terminal.child) as seen:
                terminal.let_go()
                # The second of the other one has passed by then, because it began earlier.
                terminal.wait_for(b"receiving")
                self.holds.release("read")
                terminal.read_all()
                self.assertEqual([seen.wait(TIMEOUT_SECONDS), unseen.wait(TIMEOUT_SECONDS)], [0, 0])
            assert unseen.stderr is not None
            self.assertEqual(unseen.stderr.read(), b"")
