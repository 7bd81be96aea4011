"""
Tests for the progress bar.
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
        Show the bar on a terminal of a width.
        """
        console = Console(file=self.file, force_terminal=True, width=width)
        self.bar = ByteProgress("sending", console, self.clock.seconds)
        self.bar.__enter__()
        self.addCleanup(self.bar.__exit__, None, None, None)
        self.bar.set_total(30 * MB)
        self.bar.show()

    def send(self, seconds: int, size_bytes: int) -> None:
        """
        Advance the bar for some seconds, by the same amount each.
        """
        for _ in range(seconds):
            self.clock.advance(1)
            self.bar.advance(size_bytes)

    def shown(self) -> str:
        """
        Return the text shown last.
        """
        with self.bar.hidden():
            lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.file.getvalue()).split()
        return " ".join(lines[-6:])

    def test_rate_and_time(self) -> None:
        """
        The bar shows the bytes done and in total, the rate, and the remaining time.
        """
        self.send(3, 5 * MB)
        self.assertTrue(self.shown().endswith("15.0/30.0 MB 5.0 MB/s 0:00:03"), self.shown())

    def test_standing_still(self) -> None:
        """
        While nothing advances, the rate falls and the remaining time rises.
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
        A narrow terminal shows fewer columns, complete ones.
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
        Lost bytes are subtracted, and do not affect the rate.
        """
        self.send(5, 4 * MB)
        self.bar.advance(-20 * MB)
        self.assertTrue(self.shown().endswith("0.0/30.0 MB ? -:--:--"), self.shown())
        self.send(3, 2 * MB)
        self.assertTrue(self.shown().endswith("6.0/30.0 MB 2.0 MB/s 0:00:12"), self.shown())

    def test_lost_at_the_end(self) -> None:
        """
        Bytes that are lost after all were sent are subtracted too.
        """
        self.send(3, 10 * MB)
        self.assertTrue(self.shown().endswith("30.0/30.0 MB 10.0 MB/s 0:00:00"), self.shown())
        self.bar.advance(-30 * MB)
        self.send(4, 5 * MB)
        self.assertTrue(self.shown().endswith("20.0/30.0 MB 5.0 MB/s 0:00:02"), self.shown())

    def test_lost_in_part(self) -> None:
        """
        If a part is lost, the rest stays done; the count never falls below 0.
        """
        self.send(2, 5 * MB)
        self.bar.advance(-4 * MB)
        self.assertIn("6.0/30.0 MB", self.shown())
        self.bar.advance(-7 * MB)
        self.assertIn(" 0.0/30.0 MB", self.shown())


class TerminalTests(SynchronousTestCase):
    """
    The conditions for a bar.
    """

    variables = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CLICOLOR_FORCE", "NO_COLOR", "COLORTERM")

    def shows(self, is_terminal: bool, **variables: str) -> bool:
        """
        Start a transfer that takes longer than a second, and return whether stderr shows something.
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
        Without a terminal on stderr there is no bar, whatever the variables for colours and terminals.
        """
        self.assertFalse(self.shows(False))
        for name in self.variables:
            for value in ("1", "0", "", "3"):
                self.assertFalse(self.shows(False, **{name: value}), f"{name}={value}")

    def test_terminal(self) -> None:
        """
        On a terminal there is a bar, whatever these variables.
        """
        self.assertTrue(self.shows(True))
        for name in self.variables:
            for value in ("1", "0", ""):
                self.assertTrue(self.shows(True, **{name: value}), f"{name}={value}")

    def test_terminal_without_a_cursor(self) -> None:
        """
        On a terminal whose cursor cannot be moved there is no bar.
        """
        for name in ("dumb", "unknown", "DUMB", ""):
            self.assertFalse(self.shows(True, TERM=name, FORCE_COLOR="1"))
