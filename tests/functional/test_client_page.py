"""
Tests of the guide on the client: its Python runs.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.edge import EdgeTestCase
from tests.support.guide import ADDRESS, blocks, run_program, run_session

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "client.md").read_text()
SNIPPETS = [block for block in blocks(PAGE) if block.language == "python"]
PROGRAMS = [block.text for block in SNIPPETS if "a separate program" in block.before]
TYPED = "".join(f"{block.text}\n" for block in SNIPPETS if block.text not in PROGRAMS)
"""The input of one session, with an empty line after each snippet."""

Run = Callable[[Path, str], "subprocess.CompletedProcess[str]"]


class SnippetTests(EdgeTestCase):
    """
    The Python of the page.
    """

    def run_python(self, run: Run, text: str) -> str:
        """
        Run Python of the page against the test's daemon, and return its output.
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
        for line in ("serve version 2", "2 to 3", "the best is 2", "0 versions would be deleted", "started"):
            self.assertIn(line, printed)
        self.assertIn("walker 99", printed)
        self.assertIn("the token would be sent to registry.example.com:9000 unencrypted", printed)
        self.assertIn("version 1 of a test", printed)

    def test_twisted_program_runs(self) -> None:
        """
        The program for Twisted makes a model and lists it.
        """
        (program,) = PROGRAMS
        self.assertEqual(self.run_python(run_program, program), "runner\n")


class SessionTests(SynchronousTestCase):
    """
    The test notices what a console does not accept.
    """

    def assert_not_taken(self, text: str, said: str) -> None:
        """
        Check that a session fails with an error text.
        """
        done = run_session(Path.cwd(), text)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(said, done.stderr)

    def test_no_empty_line_behind_a_loop(self) -> None:
        """
        Only an empty line ends a loop in a console.
        """
        self.assert_not_taken("for x in ():\n    pass\nprint(1)\n", "SyntaxError")
        self.assert_not_taken("for x in (1,):\n    print(1)\n", "this is not whole")

    def test_empty_line_within_a_loop(self) -> None:
        """
        An empty line within a loop is an error.
        """
        self.assert_not_taken("for x in ():\n    pass\n\n    print(1)\n", "IndentationError")

    def test_end_of_python(self) -> None:
        """
        A statement that ends Python is an error.
        """
        self.assert_not_taken("raise SystemExit\nprint(1)\n", "this ends Python")
