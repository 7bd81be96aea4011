"""
The page's section on backup and restore says what is so.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.functional.test_readme import ROOT, fenced
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment, run_command
from tests.support.registry_case import RegistryTestCase
from twisted_registry.client import BlockingClient

PAGE = (ROOT / "docs" / "guides" / "back-up.md").read_text()
SECTION = re.search(r"^## Backup and restore\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)
COMMAND = [sys.executable, "-m", "twisted_registry.cli", "archive", "raise-numbers"]


class BackupTests(RegistryTestCase):
    """
    An archive is backed up, goes on, and is restored.
    """

    def run_block(self, block: str) -> str:
        """
        Run a block of the page, each line of which has to succeed.
        """
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        extra = {"ARCHIVE": str(self.archive), "BACKUP": str(self.directory / "backup"), "PATH": path}
        done = subprocess.run(
            ["bash", "-euc", block],
            env=clean_environment(extra),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def store(self, data: bytes) -> int:
        """
        Store a version as somebody who remembers nothing; give its number.
        """
        with BlockingClient(self.daemon.address) as registry:
            return registry.store("walker", data).version_number

    def test_the_page(self) -> None:
        """
        After the commands of the page no number is given again, and what was backed up is there.
        """
        assert SECTION is not None
        backup, restore = fenced("sh", SECTION[1])
        self.client.save_model("walker")
        self.assertEqual([self.store(b"1"), self.store(b"2"), self.store(b"3")], [1, 2, 3])
        self.daemon.stop()
        self.run_block(backup)
        self.daemon = self.start_daemon()
        archive_id = self.connect().statuses("archive_id")["archive_id"]
        self.assertEqual(self.store(b"4"), 4)
        self.daemon.stop()
        self.assertIn("walker: numbers continue after 1000003, not after 3", self.run_block(restore))
        self.daemon = self.start_daemon()
        self.assertNotIn("watching it", self.daemon.log)
        self.assertEqual(self.store(b"other"), 1000004)
        with BlockingClient(self.daemon.address) as registry:
            self.assertEqual([info.version_number for info in registry.versions("walker")], [1, 2, 3, 1000004])
            self.assertEqual(registry.retrieve("walker", 3), b"3")
            self.assertEqual(registry.retrieve("walker"), b"other")
            self.assertEqual(registry.statuses("archive_id"), {"archive_id": archive_id})
            self.assertEqual(registry.statuses("archive_restores"), {"archive_restores": "1"})

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
