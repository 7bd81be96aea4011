"""
Tests for ``twisted_registry.cli.lazy_group`` and the table of commands.
"""

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cli import invoke, subcommands
from tests.support.daemon import TIMEOUT_SECONDS
from twisted_registry.cli import commands
from twisted_registry.cli.group import command
from twisted_registry.cli.lazy_group import LazyGroup

FOLDER = Path(commands.__file__).parent

HEAVY = ("grpc", "rich", "attrs", "twisted", "yaml", "asyncio", "twisted_registry.client", "twisted_registry.storage")
"""Modules that the help does without."""


def groups() -> dict[str, LazyGroup]:
    """
    Return the groups of commands by name.
    """
    return {name: each for name, each in subcommands().items() if isinstance(each, LazyGroup)}


class TableTests(SynchronousTestCase):
    """
    The table of commands.
    """

    def test_every_file_is_a_command(self) -> None:
        """
        The table has an entry for each file, and each entry is a command of that name.
        """
        named = {}
        for group_name, group in {"": command, **groups()}.items():
            for name, each in subcommands(group).items():
                prefix = f"{group_name}_" if group_name else ""
                named[prefix + name.replace("-", "_")] = prefix + (each.name or "").replace("-", "_")
        self.assertEqual(named, {name: name for name in named})
        files = {file.stem.rstrip("_") for file in FOLDER.glob("*.py")} - {"__init"}
        self.assertEqual(set(named), files)

    def test_short_help(self) -> None:
        """
        The help lists each command with one sentence.
        """
        said = " ".join(invoke("", "--help").stdout.split())
        for name in subcommands():
            self.assertRegex(command.summary(name), r"^[A-Z].*\.$")
            self.assertIn(f"{name} {command.summary(name)}", said)
        for group in groups().values():
            for name in subcommands(group):
                self.assertRegex(group.summary(name), r"^[A-Z].*\.$")

    def test_unknown(self) -> None:
        """
        An unknown command is wrong usage, at both levels.
        """
        for words in (["nope"], *([name, "nope"] for name in groups())):
            done = invoke("", *words)
            self.assertEqual(done.exit_code, 2)
            self.assertIn("No such command 'nope'", done.stderr)


class ImportTests(SynchronousTestCase):
    """
    Modules that a child process imports.
    """

    def imported(self, *words: str) -> set[str]:
        """
        Run the command with these words, and return the heavy modules that it imported.
        """
        program = (
            "import atexit, sys\n"
            f"atexit.register(lambda: print(*(set({HEAVY!r}) & set(sys.modules)), sep='\\n', file=sys.stderr))\n"
            f"sys.argv = ['twisted-registry', *{words!r}]\n"
            "from twisted_registry.cli.main import main\n"
            "main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Usage:", done.stdout)
        return set(done.stderr.split())

    def test_help(self) -> None:
        """
        The help of the command imports nothing heavy.
        """
        self.assertEqual(self.imported("--help"), set())

    def test_help_of_a_command(self) -> None:
        """
        The help of a command that calls the registry imports neither gRPC nor the client.
        """
        for words in (["push"], ["pull"], ["ls"], ["watch"], ["health"], ["alias", "set"], ["metric"], ["events"]):
            self.assertLessEqual(self.imported(*words, "--help"), {"attrs", "rich"}, words)
