"""
The progress bar.
"""

import os
import pty
import re
import sys
from io import StringIO

from rich.console import Console
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.cli.progress import ByteProgress

MB = 1_000_000


class ByteProgressTests(SynchronousTestCase):
    """
    A bar on a terminal.
    """

    def setUp(self) -> None:
        """
        Show a bar for 30 MB.
        """
        self.clock = Clock()
        self.file = StringIO()
        self.begin(100)

    def begin(self, width: int) -> None:
        """
        Show it in a terminal that is so wide.
        """
        console = Console(file=self.file, force_terminal=True, width=width)
        self.bar = ByteProgress("sending", console, self.clock.seconds)
        self.bar.__enter__()
        self.addCleanup(self.bar.__exit__, None, None, None)
        self.bar.set_total(30 * MB)
        self.bar.show()

    def send(self, seconds: int, size_bytes: int) -> None:
        """
        Send so much in each of so many seconds.
        """
        for _ in range(seconds):
            self.clock.advance(1)
            self.bar.advance(size_bytes)

    def shown(self) -> str:
        """
        Give what is shown last.
        """
        with self.bar.hidden():
            lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.file.getvalue()).split()
        return " ".join(lines[-6:])

    def test_rate_and_time(self) -> None:
        """
        It tells what is done of how much, the rate, and the time left.
        """
        self.send(3, 5 * MB)
        self.assertTrue(self.shown().endswith("15.0/30.0 MB 5.0 MB/s 0:00:03"), self.shown())

    def test_standing_still(self) -> None:
        """
        While nothing comes the rate falls, and the time left rises.
        """
        self.send(3, 5 * MB)
        self.clock.advance(3)
        self.assertTrue(self.shown().endswith("15.0/30.0 MB 2.5 MB/s 0:00:06"), self.shown())
        for _ in range(60):
            self.clock.advance(1)
            self.shown()
        self.assertTrue(self.shown().endswith("15.0/30.0 MB 0 bytes/s -:--:--"), self.shown())

    def test_narrow(self) -> None:
        """
        A narrow terminal shows less, and that whole.
        """
        for width, expected in {
            59: "sending 15.0/30.0 MB 5.0 MB/s 0:00:03",
            40: "sending 15.0/30.0 MB 0:00:03",
        }.items():
            self.begin(width)
            self.send(3, 5 * MB)
            self.assertTrue(self.shown().endswith(expected), self.shown())

    def test_lost(self) -> None:
        """
        What is lost is taken back, and counts neither for the rate nor against it.
        """
        self.send(5, 4 * MB)
        self.bar.advance(-20 * MB)
        self.assertTrue(self.shown().endswith("0.0/30.0 MB ? -:--:--"), self.shown())
        self.send(3, 2 * MB)
        self.assertTrue(self.shown().endswith("6.0/30.0 MB 2.0 MB/s 0:00:12"), self.shown())

    def test_lost_at_the_end(self) -> None:
        """
        What is lost when all of it was sent is not done either.
        """
        self.send(3, 10 * MB)
        self.assertTrue(self.shown().endswith("30.0/30.0 MB 10.0 MB/s 0:00:00"), self.shown())
        self.bar.advance(-30 * MB)
        self.send(4, 5 * MB)
        self.assertTrue(self.shown().endswith("20.0/30.0 MB 5.0 MB/s 0:00:02"), self.shown())

    def test_lost_in_part(self) -> None:
        """
        Where a part is lost, the rest stays done; nothing is ever less than nothing.
        """
        self.send(2, 5 * MB)
        self.bar.advance(-4 * MB)
        self.assertIn("6.0/30.0 MB", self.shown())
        self.bar.advance(-7 * MB)
        self.assertIn(" 0.0/30.0 MB", self.shown())


class TerminalTests(SynchronousTestCase):
    """
    Where a bar is shown.
    """

    variables = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CLICOLOR_FORCE", "NO_COLOR", "COLORTERM")

    def shows(self, is_terminal: bool, **variables: str) -> bool:
        """
        Begin a transfer whose moment has passed, and say whether something is shown on stderr.
        """
        unset = {name: value for name, value in os.environ.items() if name not in self.variables}
        self.patch(os, "environ", {**unset, "TERM": "xterm", **variables})
        reads, writes = pty.openpty() if is_terminal else os.pipe()
        self.addCleanup(os.close, reads)
        with os.fdopen(writes, "w") as stderr:
            self.patch(sys, "stderr", stderr)
            with ByteProgress("sending") as bar:
                bar.set_total(1000)
                bar.show()
            os.write(writes, b".")
            return os.read(reads, 10_000) != b"."

    def test_no_terminal(self) -> None:
        """
        Where stderr is no terminal there is none, whatever variables say of colours and terminals.
        """
        self.assertFalse(self.shows(False))
        for name in self.variables:
            for value in ("1", "0", "", "3"):
                self.assertFalse(self.shows(False, **{name: value}), f"{name}={value}")

    def test_terminal(self) -> None:
        """
        On a terminal there is one, whatever they say.
        """
        self.assertTrue(self.shows(True))
        for name in self.variables:
            for value in ("1", "0", ""):
                self.assertTrue(self.shows(True, **{name: value}), f"{name}={value}")

    def test_terminal_without_a_cursor(self) -> None:
        """
        On one whose cursor cannot be moved there is none.
        """
        for name in ("dumb", "unknown", "DUMB", ""):
            self.assertFalse(self.shows(True, TERM=name, FORCE_COLOR="1"))
