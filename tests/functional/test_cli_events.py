"""
Tests of the command ``events``.
"""

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.support.cli import interrupt, invoke, run, started
from tests.support.daemon import TIMEOUT_SECONDS, wait_until
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase


class EventsTests(SharedEdgeTestCase):
    """
    The command as a child process.
    """

    def setUp(self) -> None:
        """
        Make a model with a version.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"data")

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """
        Start the command, which is killed after the test.
        """
        stack = ExitStack()
        self.addCleanup(stack.close)
        return stack.enter_context(started(self.daemon.address, "events", *arguments))

    def next(self, process: "subprocess.Popen[bytes]") -> Any:
        """
        Return the next object that the command prints.
        """
        assert process.stdout is not None
        return json.loads(process.stdout.readline())

    def run_command(self, *arguments: str) -> None:
        """
        Run a command that succeeds.
        """
        self.assertEqual(invoke(self.daemon.address, *arguments).exit_code, 0)

    def test_followed(self) -> None:
        """
        Each event is an object as soon as it happens; Ctrl-C ends the command quietly, with 130.
        """
        process = self.start("--json", self.model_id)
        self.assertEqual(self.next(process)["kind"], "started")
        reference = f"{self.model_id}@1"
        self.run_command("alias", "set", reference, "production", "--reason", "so")
        self.run_command("metric", reference, "return=3")
        archived, moved, updated = (self.next(process) for _ in range(3))
        self.assertEqual(archived["kind"], "version_archived")
        self.assertEqual((moved["kind"], moved["move"]["to_number"], moved["move"]["reason"]), ("alias_moved", 1, "so"))
        self.assertEqual((updated["kind"], updated["version"]["metrics"]), ("version_updated", {"return": 3.0}))
        self.assertEqual({each["model_id"] for each in (archived, moved, updated)}, {self.model_id})
        self.assertEqual(interrupt(process), (130, b""))

    def test_chosen(self) -> None:
        """
        Only the chosen kinds of the chosen models are printed, and a cursor continues after an event.
        """
        process = self.start(
            "--json", "--prefix", self.model_id, "--kind", "version_created", "--kind", "model_deleted"
        )
        cursor = self.next(process)["cursor"]
        self.client.save_model("other")
        self.client.create("other", b"data")
        self.run_command("label", self.model_id, "a=b")
        self.client.create(self.model_id, b"more")
        self.assertEqual(self.next(process)["version"]["version_number"], 2)
        again = self.start("--json", "--cursor", cursor, self.model_id)
        kinds = [self.next(again)["kind"] for _ in range(3)]
        self.assertEqual(kinds, ["started", "version_updated", "version_created"])

    def test_terminated(self) -> None:
        """
        SIGTERM ends it as quietly.
        """
        process = self.start("--json", self.model_id)
        self.next(process)
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT_SECONDS), 143)
        assert process.stderr is not None
        self.assertEqual(process.stderr.read(), b"")

    def test_line(self) -> None:
        """
        For people an event is a line.
        """
        cursor = self.next(self.start("--json", self.model_id))["cursor"]
        self.client.create(self.model_id, b"more")
        process = self.start("--cursor", cursor)
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        self.assertRegex(
            said, rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ  {self.model_id}@2  created  4 bytes  transient\n$"
        )

    def test_refused(self) -> None:
        """
        An unknown kind, a version in place of a model, and a model with a prefix are 2; an invalid cursor is 1.
        """
        for status, *arguments in (
            (2, "--kind", "nope"),
            (2, f"{self.model_id}@1"),
            (2, self.model_id, "--prefix", "other"),
            (1, "--cursor", "nope"),
        ):
            # As a child process: a watch that is not refused never ends.
            done = run(self.daemon.address, "events", *map(str, arguments))
            self.assertEqual((done.returncode, done.stdout), (status, b""), arguments)

    def test_cursor_file(self) -> None:
        """
        A file keeps the cursor of the last event that was printed, and the command goes on after it.
        """
        path = Path(self.mktemp())
        process = self.start("--json", "--cursor-file", str(path), self.model_id)
        self.next(process)
        self.client.create(self.model_id, b"more")
        self.assertEqual(self.next(process)["version"]["version_number"], 2)
        self.client.create(self.model_id, b"most")
        cursor = self.next(process)["cursor"]
        wait_until(lambda: path.read_text() == f"{cursor}\n", "the cursor is in the file")
        interrupt(process)
        self.client.create(self.model_id, b"missed")
        again = self.start("--json", "--cursor-file", str(path), self.model_id)
        self.assertEqual([self.next(again)["kind"] for _ in range(2)], ["started", "version_created"])
        self.assertEqual(list(path.parent.glob(f".{path.name}*")), [])

    def test_cursor_files_that_cannot_be_used(self) -> None:
        """
        A directory that does not exist, a directory as the file, and two cursors are 2; what is not a cursor is 1.
        """
        path = Path(self.mktemp())
        path.write_text("nope")
        missing = path.parent / "missing" / "file"
        for status, *arguments in (
            (2, "--cursor-file", str(missing)),
            (2, "--cursor-file", str(path.parent)),
            (2, "--cursor-file", str(path), "--cursor", "x"),
            (1, "--cursor-file", str(path)),
        ):
            done = run(self.daemon.address, "events", "--json", *map(str, arguments))
            self.assertEqual(done.returncode, status, (arguments, done.stderr))

    def test_nobody_reads(self) -> None:
        """
        If the reader of its output is gone, the command ends at the next event without a line.
        """
        process = self.start("--follow", "--json", self.model_id)
        self.next(process)
        assert process.stdout is not None
        process.stdout.close()
        self.client.create(self.model_id, b"more")
        self.assertEqual(process.wait(TIMEOUT_SECONDS), 2)
        assert process.stderr is not None
        self.assertEqual(process.stderr.read(), b"")


class RestartTests(EdgeTestCase):
    """
    A registry that is restarted.
    """

    keeps_port = True

    def test_restarted(self) -> None:
        """
        A restarted registry no longer has the events: the command ends with 1, and says how to begin again.
        """
        with started(self.daemon.address, "events", "--json") as process:
            assert process.stdout is not None
            process.stdout.readline()
            self.restart()
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 1)
            assert process.stderr is not None
            self.assertIn(b"events have been missed: the registry has restarted", process.stderr.read())

    def test_followed(self) -> None:
        """
        With --follow the command says that events have been missed, and goes on with the next one.
        """
        with started(self.daemon.address, "events", "--follow", "--json") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            self.assertEqual(json.loads(process.stdout.readline())["kind"], "started")
            self.restart()
            self.assertIn(b"events have been missed: the registry has restarted", process.stderr.readline())
            self.assertEqual(json.loads(process.stdout.readline())["kind"], "started")
            self.client.save_model("walker")
            self.assertEqual(json.loads(process.stdout.readline())["kind"], "model_created")
            self.assertEqual(interrupt(process), (130, b""))

    def test_away(self) -> None:
        """
        With --follow the command waits for a registry that is away at its start.
        """
        self.daemon.stop()
        with started(self.daemon.address, "events", "--follow", "--json") as process:
            assert process.stderr is not None
            assert process.stdout is not None
            self.assertIn(b"waiting for the registry", process.stderr.readline())
            self.daemon.start()
            self.assertEqual(json.loads(process.stdout.readline())["kind"], "started")
