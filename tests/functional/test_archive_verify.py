"""
The command ``twisted-registry archive verify``, as a child process.
"""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.archive_files import write_model, write_version
from tests.support.client import Client
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.damage import flip_bit
from tests.support.registry_case import RegistryTestCase

COMMAND = [sys.executable, "-m", "twisted_registry.cli", "archive", "verify"]
_CONTROL = re.compile(r"[^\n\x20-\x7e]")


def verify(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """
    Run the command to its end.
    """
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )


class ArchiveTests(SynchronousTestCase):
    """
    An archive on which no daemon runs.
    """

    def setUp(self) -> None:
        """
        Lay it out: a model of three versions.
        """
        self.archive = Path(self.mktemp()).absolute()
        self.folder = write_model(self.archive, "m")
        self.data = [write_version(self.folder, number, b"data %d" % number) for number in (1, 2, 3)]

    def test_sound(self) -> None:
        """
        A sound archive: 0, and a summary; nothing on stderr.
        """
        done = verify(self.archive)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^1 models, 3 versions, 18 bytes in \S+ s \(\S+ MB/s\): 0 damaged, 0 notes\n$")

    def test_damaged(self) -> None:
        """
        A damaged one: 1, and a line for each finding.
        """
        flip_bit(self.data[1])
        (self.archive / "notes.txt").write_text("")
        done = verify(self.archive)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertRegex(done.stdout, r"(?m)^damaged  m@2  its \.data: its SHA-256 is \S+ instead of \S+$")
        self.assertRegex(done.stdout, r"(?m)^note     notes\.txt  ")
        self.assertIn("1 damaged, 1 notes", done.stdout)

    def test_nowhere_to_tell(self) -> None:
        """
        Findings that cannot be written are not reported as damage.
        """
        command = [*COMMAND, str(self.archive)]
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS, check=False
            )
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr, "twisted-registry: stdout: No space left on device\n")

    def test_no_name(self) -> None:
        """
        A directory without a name, that of a variable without a value, is not taken for the one the command runs in.
        """
        done = verify("")
        self.assertEqual(done.returncode, 2)
        self.assertIn("is empty", done.stderr)

    def test_quiet(self) -> None:
        """
        With --quiet only damage is printed.
        """
        (self.archive / "notes.txt").write_text("")
        self.assertEqual(verify("--quiet", self.archive).stdout, "")
        flip_bit(self.data[1])
        (line,) = verify("--quiet", self.archive).stdout.splitlines()
        self.assertTrue(line.startswith("damaged  m@2  "))

    def test_json(self) -> None:
        """
        With --json each line is an object, the last one the summary.
        """
        self.data[2].unlink()
        (self.archive / "\x1b]0;x\x07").write_text("")
        done = verify("--json", self.archive)
        *findings, last = (json.loads(line) for line in done.stdout.splitlines())
        self.assertEqual([finding["finding"] for finding in findings], ["note", "damage"])
        self.assertEqual(findings[0]["path"], "\x1b]0;x\x07")
        expected = {"kind": "data-missing", "model_id": "m", "version_number": 3, "path": "m/m-v000003.data"}
        self.assertEqual({key: findings[1][key] for key in expected}, expected)
        summary = last["summary"]
        self.assertEqual((summary["models"], summary["versions"], summary["damaged"]), (1, 3, 1))

    def test_harmless_output(self) -> None:
        """
        Whatever the names are, the output is plain ASCII without control characters.
        """
        for name in ("\x1b[31mred", "a\nb", "\u202edlrow", "caf\u00e9", "x" * 255):
            (self.archive / name).write_text("")
        (self.archive / os.fsdecode(b"\xff")).write_text("")
        escaped = self.archive / "%E2%80%AE"
        escaped.mkdir()
        (escaped / "%E2%80%AE.yaml").write_text("a: \x1b[31m\n")
        for flags in ((), ("--json",)):
            done = verify(*flags, self.archive)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(_CONTROL.findall(done.stdout + done.stderr), [])
            self.assertEqual(len(done.stdout.splitlines()), 8)

    def test_no_archive(self) -> None:
        """
        No such folder, a file, an empty folder, a wrong flag: 2, and one line that says so; nothing is made.
        """
        empty = Path(self.mktemp())
        empty.mkdir()
        for path in (self.archive / "none", self.data[0], empty):
            for flags in ((), ("--quarantine",)):
                done = verify(*flags, path)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(verify("--jobs", "0", self.archive).returncode, 2)
        self.assertFalse((self.archive / "none").exists())

    def test_help(self) -> None:
        """
        The help explains the statuses and has examples.
        """
        done = verify("--help")
        self.assertEqual(done.returncode, 0)
        for part in ("130", "Examples:", "archive verify --quarantine /data"):
            self.assertIn(part, done.stdout)

    def test_nobody_listens(self) -> None:
        """
        If the reader of a pipe is gone, the command ends with 2 and without a traceback.
        """
        for number in range(2000):
            (self.archive / f"notes {number}").write_text("")
        with subprocess.Popen([*COMMAND, self.archive], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 2)

    def test_interrupted(self) -> None:
        """
        Ctrl-C: 130, with a summary of what was done so far and no traceback.
        """
        (self.archive / "a note").write_text("")
        # One that nobody could read to its end, and that takes no room.
        with write_version(self.folder, 4, b"").open("wb") as file:
            file.truncate(2**43)
        path = self.folder / "m-v000004.yaml"
        path.write_text(path.read_text().replace("data_size: 0", f"data_size: {2**43}"))
        with subprocess.Popen(
            [*COMMAND, self.archive], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            self.assertIn("a note", process.stdout.readline())
            process.send_signal(signal.SIGINT)
            printed, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        self.assertEqual((process.returncode, errors), (130, ""))
        self.assertIn("interrupted: ", printed)

    def test_progress_on_a_terminal(self) -> None:
        """
        A verification that takes long shows a bar on a terminal; stdout contains none of it.
        """
        with write_version(self.folder, 4, b"").open("wb") as file:
            file.truncate(2**43)
        path = self.folder / "m-v000004.yaml"
        path.write_text(path.read_text().replace("data_size: 0", f"data_size: {2**43}"))
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with subprocess.Popen(
            [*COMMAND, self.archive],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        ) as process:
            os.close(theirs)
            shown = b""
            while b"/s" not in shown:
                shown += os.read(ours, 4096)
            process.send_signal(signal.SIGINT)
            draining = threading.Thread(target=_drain, args=(ours,), daemon=True)
            draining.start()
            assert process.stdout is not None
            printed = process.stdout.read()
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 130)
            draining.join(TIMEOUT_SECONDS)  # or it would read from whatever has the descriptor's number next
        self.assertIn(b"verifying", shown)
        self.assertNotIn(b"\x1b", printed)


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except OSError:
        return  # The other end is closed.


class DaemonTests(RegistryTestCase):
    """
    An archive on which a daemon runs.
    """

    def fill(self) -> None:
        """
        Make a model of three archived versions, of which the last gets damaged.
        """
        self.client.save_model("m")
        for number in (1, 2, 3):
            self.client.create("m", b"data %d" % number, archived=True)
        flip_bit(self.archive / "m" / "m-v000003.data")

    def test_writers_at_work(self) -> None:
        """
        While models and versions come and go nothing is called damaged that is not; what is, is found.
        """
        stop = threading.Event()
        failures: list[BaseException] = []
        self.client.save_model("kept")
        workers = [threading.Thread(target=_work, args=(self.connect(), n, stop, failures)) for n in range(3)]
        for worker in workers:
            worker.start()
        try:
            for _ in range(8):
                done = verify("--quiet", self.archive)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            self.client.save_model("damaged")
            self.client.create("damaged", b"data", archived=True)
            flip_bit(self.archive / "damaged" / "damaged-v000001.data")
            done = verify("--quiet", self.archive)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        self.assertEqual(failures, [])
        self.assertEqual(done.returncode, 1)
        (line,) = done.stdout.splitlines()
        self.assertTrue(line.startswith("damaged  damaged@1  its .data: "), line)

    def test_quarantine(self) -> None:
        """
        Damage is not moved while a daemon runs; moved, the next one serves the rest and gives no number twice.
        """
        self.fill()
        before = sorted(self.archive.rglob("*"))
        done = verify("--quarantine", self.archive)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("in use by another process", done.stderr)
        self.assertEqual(sorted(self.archive.rglob("*")), before)
        self.assertEqual(self.daemon.stop(), 0)
        done = verify("--quarantine", self.archive)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertRegex(done.stdout, r"(?m)^moved    m@3  2 files$")
        self.assertEqual(verify(self.archive).returncode, 0)
        self.crash()
        self.assertEqual([info.version_number for info in self.client.infos("m").version_infos], [1, 2])
        self.assertEqual(self.client.data("m", 2), b"data 2")
        self.assertGreater(self.client.create("m", b"data 4", archived=True).version_number, 3)
        self.assertEqual(len(list(self.archive.glob(".0/quarantine/*/m/m-v000003.*"))), 2)


def _work(client: Client, worker: int, stop: threading.Event, failures: list[BaseException]) -> None:
    own, count = f"own-{worker}", 0
    try:
        while not stop.is_set():
            count += 1
            client.save_model(own, count=str(count))
            for size in (0, 10, 100_000):
                client.create(own, os.urandom(size), archived=True)
            client.create("kept", os.urandom(1000), archived=count % 2 == 0)
            client.save_model("kept", count=str(count))
            if count % 3 == 0:
                client.delete_model(own)
    except (grpc.RpcError, AssertionError) as error:
        failures.append(error)
