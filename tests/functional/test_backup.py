"""
Tests of the page on backups and restores, and of their commands.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.functional.test_readme import ROOT, fenced
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment, run_command, wait_until
from tests.support.registry_case import RegistryTestCase
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import CreationUncertain, Unavailable

PAGE = (ROOT / "docs" / "guides" / "back-up.md").read_text()
MOVE = (ROOT / "docs" / "guides" / "move.md").read_text()
BLOCKS = list(fenced("sh", PAGE))
COMMAND = [sys.executable, "-m", "twisted_registry.cli", "archive", "raise-numbers"]


class Trainer:
    """
    A trainer that stores versions of a model, each with an alias, until the registry is gone.

    Attributes:
        acknowledged: the data of the versions that were acknowledged, by number.
    """

    def __init__(self, address: str) -> None:
        self.acknowledged: dict[int, bytes] = {}
        self._address = address
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> "Trainer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join()

    def _publish(self) -> None:
        with (
            contextlib.suppress(Unavailable, CreationUncertain),
            BlockingClient(self._address, retry_seconds=0) as registry,
        ):
            while True:
                data = os.urandom(100_000)
                number = registry.store("walker", data).version_number
                self.acknowledged[number] = data
                registry.set_alias(f"walker@{number}", "newest")

    def wait_for(self, count: int) -> None:
        """
        Wait until it has stored this many more.
        """
        enough = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= enough, f"{count} versions are stored")


class BackupTests(RegistryTestCase):
    """
    An archive is backed up, goes on, and is restored.
    """

    @property
    def backups(self) -> Path:
        """
        The folder of backups.
        """
        return self.directory / "backups"

    def run_block(self, block: str) -> str:
        """
        Run a block of the page, each line of which has to succeed.
        """
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        snapshot = str(self.directory / "snapshot")
        extra = {"ARCHIVE": str(self.archive), "BACKUPS": str(self.backups), "SNAPSHOT": snapshot, "PATH": path}
        extra["NEW"] = str(self.directory / "new")
        done = subprocess.run(
            ["bash", "-euc", block],
            env=clean_environment(extra),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def store(self, data: bytes) -> int:
        """
        Store a version with a client that knows no earlier one, and return its number.
        """
        with BlockingClient(self.daemon.address) as registry:
            return registry.store("walker", data).version_number

    def check_restored(self, kept: Mapping[int, bytes], used: Collection[int]) -> None:
        """
        Check that the daemon serves versions, an alias of one of them, and gives a new version a new number.
        """
        with BlockingClient(self.daemon.address) as registry:
            for number, data in kept.items():
                self.assertEqual(registry.retrieve("walker", number), data)
            (alias,) = registry.aliases("walker").values()
            self.assertEqual(len(registry.retrieve("walker", alias.to_number)), 100_000)
            self.assertEqual(registry.statuses("archive_restores"), {"archive_restores": "1"})
        number = self.store(b"new")
        self.assertGreater(number, 1_000_000)
        self.assertNotIn(number, used)

    def test_running(self) -> None:
        """
        A backup that is made while a trainer publishes has what was acknowledged before; after a kill of the daemon and
        the page's commands it is served, and no number is used twice.
        """
        verify_all = next(block for block in BLOCKS if "/2*Z" in block)
        back_up = next(block for block in BLOCKS if "archive backup" in block)
        restore = next(block for block in BLOCKS if "archive restore" in block)
        self.backups.mkdir()
        self.client.save_model("walker")
        with Trainer(self.daemon.address) as trainer:
            for _ in range(2):
                trainer.wait_for(5)
                before = dict(trainer.acknowledged)
                self.assertIn("0 damaged", self.run_block(back_up))
            trainer.wait_for(1)
            self.daemon.kill()
        self.assertEqual(self.run_block(verify_all), "")
        self.assertIn(", 0 damaged", self.run_block(restore))
        self.daemon = self.start_daemon("--archive-must-exist")
        self.check_restored(before, trainer.acknowledged)

    def test_move(self) -> None:
        """
        With the commands of the page on moving, the archive goes on elsewhere with its id and its numbers.
        """
        copy, again, restore = (line for line in next(fenced("sh", MOVE)).splitlines() if line[0] != "#")
        self.backups.mkdir()
        self.client.save_model("walker")
        self.assertEqual(self.store(b"1"), 1)
        archive_id = self.connect().statuses("archive_id")
        self.run_block(copy)
        self.assertEqual(self.store(b"2"), 2)
        self.daemon.stop()
        self.run_block(again)
        self.run_block(restore)
        self.archive = self.directory / "new"
        self.daemon = self.start_daemon("--archive-must-exist")
        self.assertEqual(self.connect().statuses("archive_id"), archive_id)
        self.assertEqual(self.store(b"3"), 3)

    def test_by_hand(self) -> None:
        """
        After the page's commands for a snapshot no number is used again, and what it has is there.
        """
        self.client.save_model("walker")
        self.assertEqual([self.store(b"1"), self.store(b"2"), self.store(b"3")], [1, 2, 3])
        self.daemon.stop()
        shutil.copytree(self.archive, self.directory / "snapshot")
        self.daemon = self.start_daemon()
        archive_id = self.connect().statuses("archive_id")["archive_id"]
        self.assertEqual(self.store(b"4"), 4)
        self.daemon.stop()
        shutil.rmtree(self.archive)
        by_hand = next(block for block in BLOCKS if "raise-numbers" in block)
        self.assertIn("walker: numbers continue after 1000003, not after 3", self.run_block(by_hand))
        self.daemon = self.start_daemon()
        self.assertNotIn("watching it", self.daemon.log)
        self.assertEqual(self.store(b"other"), 1000004)
        with BlockingClient(self.daemon.address) as registry:
            self.assertEqual([info.version_number for info in registry.versions("walker")], [1, 2, 3, 1000004])
            self.assertEqual(registry.retrieve("walker", 3), b"3")
            self.assertEqual(registry.statuses("archive_id"), {"archive_id": archive_id})
            self.assertEqual(registry.statuses("archive_restores"), {"archive_restores": "1"})

    def command(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """
        Run a command for archives.
        """
        return run_command(self.directory, sys.executable, "-m", "twisted_registry.cli", "archive", *words)

    def test_statuses(self) -> None:
        """
        A backup ends with 0, with 1 if something is damaged, and with 2 if there is none; a restore likewise.
        """
        self.client.save_model("walker")
        self.store(b"1")
        self.backups.mkdir()
        done = self.command("backup", "--json", "--keep", "1", self.archive, self.backups)
        summary = json.loads(done.stdout)["summary"]
        self.assertEqual((done.returncode, summary["versions"], summary["new_bytes"]), (0, 1, 1))
        self.assertIn("on the same file system", done.stderr)
        refused: Sequence[Sequence[str | Path]] = (
            ["backup", self.archive, self.directory / "missing"],
            ["backup", self.backups, self.backups],
            ["backup", self.archive, self.archive],
            ["restore", self.backups, self.archive],
            ["restore", "--by", "1", "--to", "2", self.backups, self.directory / "copy"],
        )
        for words in refused:
            done = self.command(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertEqual(len(done.stderr.splitlines()[-1:]), 1, words)
        self.daemon.stop()
        (data,) = self.archive.glob("walker/*.data")
        data.write_bytes(b"")
        done = self.command("backup", "--quiet", "--keep", "1", self.archive, self.backups)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertRegex(done.stdout, r"^damaged  walker@1  .*\n$")
        self.assertEqual(len(list(self.backups.glob("2*Z*"))), 2)
        done = self.command("restore", "--to", "7", "--new-id", summary["backup"], self.directory / "copy")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.directory / "copy" / "walker" / ".reserved").read_bytes()[:2], b"7 ")

    def test_interrupted(self) -> None:
        """
        Ctrl-C ends a backup with status 130; the next one goes on with it.
        """
        self.client.save_model("walker")
        for _ in range(4):
            self.store(bytes(30_000_000))
        self.backups.mkdir()
        words = [sys.executable, "-m", "twisted_registry.cli", "archive", "backup", "--jobs", "1"]
        running = subprocess.Popen(
            [*words, str(self.archive), str(self.backups)], env=clean_environment(), stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(running.kill)
        partial = self.backups / ".partial" / "walker"
        wait_until(lambda: list(partial.glob("*-v*.yaml")) or running.poll() is not None, "a version was copied")
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=TIMEOUT_SECONDS)
        if running.returncode == 0:
            raise SkipTest("it was faster than the signal")
        self.assertEqual(running.returncode, 130)
        self.assertIn("interrupted", output)
        self.assertEqual({path.name for path in self.backups.iterdir()}, {".lock", ".partial"})
        done = self.command("backup", "--json", self.archive, self.backups)
        summary = json.loads(done.stdout)["summary"]
        self.assertEqual(summary["size_bytes"], 120_000_000)
        self.assertLess(summary["new_bytes"], 120_000_000)

    def test_in_use(self) -> None:
        """
        While a daemon has the archive, nothing is raised.
        """
        self.client.save_model("walker")
        done = run_command(self.directory, *COMMAND, self.archive)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("in use", done.stderr)
        self.assertEqual(self.store(b"1"), 1)

    def test_too_low(self) -> None:
        """
        Numbers that are high enough stay and do not count as raised; if no others are left, the status is 1.
        """
        self.client.save_model("walker")
        self.daemon.stop()
        run_command(self.directory, *COMMAND, "--by", "100", self.archive)
        done = run_command(self.directory, *COMMAND, "--to", "5", self.archive)
        high = "walker: numbers already continue after 100, which is not below --to 5\n"
        none = "models whose numbers were raised: 0; models that failed: 0\n"
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, high + none, ""))
        self.daemon = self.start_daemon()
        self.connect().save_model("runner")
        self.daemon.stop()
        done = run_command(self.directory, *COMMAND, "--to", "5", self.archive)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(high, done.stdout)
        self.assertIn("models whose numbers were raised: 1;", done.stdout)

    def test_ends(self) -> None:
        """
        It ends with 2 where there is no archive or the flags make no sense, with 1 where a model was left, else with 0.
        """
        self.client.save_model("walker")
        self.daemon.stop()
        for arguments, status in (
            ([self.directory / "nothing"], 2),
            ([""], 2),
            (["--by", "1", "--to", "2", self.archive], 2),
            (["--by", "0", self.archive], 2),
            (["--to", "2147483647", self.archive], 0),
            ([self.archive], 1),
        ):
            done = run_command(self.directory, *COMMAND, *arguments)
            self.assertEqual(done.returncode, status, done.stderr)
        done = run_command(self.directory, *COMMAND, "--json", self.archive)
        printed = json.loads(done.stdout)
        self.assertEqual((printed["model_id"], printed["before"]), ("walker", 2**31 - 1))
        self.assertEqual(list(printed), sorted(printed))
