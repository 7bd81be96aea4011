"""
Tests of the lists on a narrow terminal.
"""

import fcntl
import re
import struct
import termios

from tests.support.cli import Terminal, invoke, run
from tests.support.edge import SharedEdgeTestCase

_COLUMNS = 40


class NarrowTests(SharedEdgeTestCase):
    """
    Every list on a terminal of 40 columns.
    """

    def setUp(self) -> None:
        """
        Make a model with everything that a list shows.
        """
        super().setUp()
        self.model = "robot-arm/walker"
        self.client.save_model(self.model, algorithm="ppo", owner="ada lovelace")
        for _ in range(2):
            self.client.create(self.model, bytes(123_456_789), user_data={"commit": "8f1c3b9", "note": "two words"})
        for words in (
            ("alias", "set", f"{self.model}@1", "production", "--reason", "better on stairs than the one before"),
            ("metric", f"{self.model}@1", "return=203.51234", "eval/return=1e-5"),
            ("label", f"{self.model}@1", "reviewed=yes", "environment=stairs"),
        ):
            self.assertEqual(invoke(self.daemon.address, *words).exit_code, 0)

    def shown(self, *arguments: str) -> str:
        """
        Return what a command shows on the terminal.
        """
        with Terminal() as terminal:
            fcntl.ioctl(terminal.child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, _COLUMNS, 0, 0))
            done = run(self.daemon.address, *arguments, capture_output=False, stdout=terminal.child)
            self.assertEqual(done.returncode, 0, arguments)
            terminal.let_go()
            terminal.read_all()
        return re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown.decode()).replace("\r", "")

    def test_lists(self) -> None:
        """
        No line is wider than the terminal, and words are whole.
        """
        date, time, sizes = r"\b\d{4}-\d\d-\d\d\b", r"\b\d\d:\d\d:\d\dZ", "123.5 MB"
        for arguments, words in (
            (("ls", self.model), ("robot-arm/walker", "algorithm=ppo")),
            (("ls", "-l", self.model), ("robot-arm/walker", sizes, "transient", "algorithm=ppo")),
            (("versions", self.model), (sizes, date, time, "archived", "commit=8f1c3b9")),
            (("info", self.model), ("246.9 MB", "algorithm", "ppo", "alias production")),
            (("info", f"{self.model}@1"), ("robot-arm/walker@1", "eval/return", "stairs")),
            (("alias", "ls", self.model), ("production", date, time, "stairs", "before")),
            (("alias", "log", self.model), ("production", date, time, "stairs", "before")),
            (("search", self.model), (sizes, "archived", "production", "return=203.51234", "environment=stairs")),
            (("ls", "--sort", "model_id"), ("robot-arm/walker", "production=1", "algorithm=ppo")),
            (("prune", self.model, "--keep-last", "1", "--dry-run"), ("nothing to delete",)),
            (("retention", "show", self.model), ("all versions",)),
            (("status",), ("serving", r"version")),
        ):
            shown = self.shown(*arguments)
            self.assertLessEqual(max(map(len, map(str.rstrip, shown.splitlines()))), _COLUMNS, shown)
            for word in words:
                self.assertRegex(shown, word, arguments)
