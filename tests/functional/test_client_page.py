"""
The page on the client library says what is so: its Python is run, its table of errors is compared with the errors.
"""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.guide import ADDRESS, blocks, run_session
from tests.support.registry_case import RegistryTestCase
from twisted_registry import errors

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
SNIPPETS = [block.text for block in blocks(PAGE) if block.language == "python"]
PROGRAMS = [text for text in SNIPPETS if "react(main)" in text]

SERVER_ONLY = {"RegistryError", "CannotStart"}
"""The base of all, and what nobody meets but who starts a server."""


class SnippetTests(RegistryTestCase):
    """
    The Python of the page.
    """

    def run_python(self, text: str) -> str:
        """
        Run Python of the page against the test's daemon, and give what it printed.
        """
        done = run_session(self.directory, text.replace(ADDRESS, self.daemon.address))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_session_runs(self) -> None:
        """
        All snippets run in the page's order, in one session.
        """
        printed = self.run_python("\n".join(text for text in SNIPPETS if text not in PROGRAMS))
        self.assertIn("act with version 3 3000000", printed)
        self.assertIn("walker 99", printed)
        self.assertIn("a token would go to registry.example.com:9000 in the clear", printed)

    def test_twisted_program_runs(self) -> None:
        """
        The program for Twisted makes a model and lists it.
        """
        (program,) = PROGRAMS
        self.assertEqual(self.run_python(program), "runner\n")


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
