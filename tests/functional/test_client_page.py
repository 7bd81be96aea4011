"""
The page on the client library says what is so: its Python is run, its table of errors is compared with the errors.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.guide import ADDRESS, blocks, run_program, run_session
from tests.support.registry_case import RegistryTestCase
from twisted_registry.client import errors
from twisted_registry.registry.numbers import NUMBERS_PER_BLOCK

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "client.md").read_text()
SNIPPETS = [block for block in blocks(PAGE) if block.language == "python"]
PROGRAMS = [block.text for block in SNIPPETS if "a program of its own" in block.before]
TYPED = "".join(f"{block.text}\n" for block in SNIPPETS if block.text not in PROGRAMS)
"""What a reader types in one session, with an empty line behind each snippet."""

Run = Callable[[Path, str], "subprocess.CompletedProcess[str]"]

SERVER_ONLY = {"RegistryError", "CannotStart", "ArchiveTaken"}
"""The base of all, and what nobody meets but who starts a server."""


class SnippetTests(RegistryTestCase):
    """
    The Python of the page.
    """

    def run_python(self, run: Run, text: str) -> str:
        """
        Run Python of the page against the test's daemon, and give what it printed.
        """
        done = run(self.directory, text.replace(ADDRESS, self.daemon.address))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_session_runs(self) -> None:
        """
        All snippets run in the page's order, typed into one session.
        """
        printed = self.run_python(run_session, TYPED)
        self.assertIn("act with version 3 3000000", printed)
        self.assertIn("walker 99", printed)
        self.assertIn("a token would go to registry.example.com:9000 in the clear", printed)

    def test_twisted_program_runs(self) -> None:
        """
        The program for Twisted makes a model and lists it.
        """
        (program,) = PROGRAMS
        self.assertEqual(self.run_python(run_program, program), "runner\n")


class SessionTests(SynchronousTestCase):
    """
    What a console does not take is noticed.
    """

    def assert_not_taken(self, text: str, said: str) -> None:
        """
        Check that a session fails, and what is said then.
        """
        done = run_session(Path.cwd(), text)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(said, done.stderr)

    def test_no_empty_line_behind_a_loop(self) -> None:
        """
        A console takes a loop for ended by an empty line, and by nothing else.
        """
        self.assert_not_taken("for x in ():\n    pass\nprint(1)\n", "SyntaxError")
        self.assert_not_taken("for x in (1,):\n    print(1)\n", "this is not whole")

    def test_empty_line_within_a_loop(self) -> None:
        """
        Within a loop there is none.
        """
        self.assert_not_taken("for x in ():\n    pass\n\n    print(1)\n", "IndentationError")

    def test_end_of_python(self) -> None:
        """
        What ends Python ends the session before its time.
        """
        self.assert_not_taken("raise SystemExit\nprint(1)\n", "this ends Python")


class TableTests(SynchronousTestCase):
    """
    The tables of the page.
    """

    def test_every_error_is_in_the_table(self) -> None:
        """
        The table has each error that a client may meet, and no other.
        """
        rows = re.findall(r"^\| (`[A-Z].*?) \|", PAGE, re.MULTILINE)
        told = {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"Client", "BlockingClient"}
        known = {
            name
            for name, kind in vars(errors).items()
            if isinstance(kind, type) and issubclass(kind, errors.RegistryError)
        }
        self.assertEqual(told - {"DeferredClient"}, known - SERVER_ONLY)

    def test_publishing_needs_the_disk(self) -> None:
        """
        Where the disk takes no writes, no row promises more transient versions than there are numbers reserved.
        """
        self.assertEqual(NUMBERS_PER_BLOCK, 100)
        for name in ("StorageFull", "StorageReadOnly"):
            (row,) = re.findall(rf"^\| `{name}` .*", PAGE, re.MULTILINE)
            self.assertIn("`publish` as far as numbers are reserved, a hundred or so", row)
