"""
Tests for ``twisted_registry.repeated_lines``.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.repeated_lines import REPEAT_SECONDS, RepeatedLines, more


class RepeatedLinesTests(SynchronousTestCase):
    """
    A problem has a line at once, and then one a minute.
    """

    def setUp(self) -> None:
        """
        Make lines with a clock.
        """
        self.clock = Clock()
        self.written: list[tuple[str, int]] = []
        self.lines = RepeatedLines(self.clock.seconds, self.clock.callLater, causes_max=3)

    def happen(self, cause: str, times: int = 1) -> None:
        """
        Let something happen.
        """
        self.lines.happened(cause, lambda counted: self.written.append((cause, counted)), times)

    def test_first(self) -> None:
        """
        The first time is written at once.
        """
        self.happen("full")
        self.assertEqual(self.written, [("full", 1)])

    def test_flood(self) -> None:
        """
        10,000 times within a minute are two lines: one at once, and one at the end of the minute with the number.
        """
        for _ in range(10_000):
            self.happen("full")
        self.assertEqual(self.written, [("full", 1)])
        self.clock.advance(REPEAT_SECONDS)
        self.assertEqual(self.written, [("full", 1), ("full", 9_999)])
        self.clock.advance(10 * REPEAT_SECONDS)
        self.assertEqual(len(self.written), 2)

    def test_lasting(self) -> None:
        """
        A problem that goes on for ten minutes is a line a minute, and none is lost in the numbers.
        """
        for _ in range(600):
            self.happen("full", 5)
            self.clock.advance(1)
        self.clock.advance(REPEAT_SECONDS)
        self.assertEqual(len(self.written), 11)
        self.assertEqual(sum(times for _, times in self.written), 3000)

    def test_causes(self) -> None:
        """
        Each cause has separate lines.
        """
        for cause in ("full", "slow", "full"):
            self.happen(cause)
        self.assertEqual(self.written, [("full", 1), ("slow", 1)])

    def test_many_causes(self) -> None:
        """
        Only the latest causes are remembered.
        """
        for number in range(10):
            self.happen(str(number))
        self.assertEqual(len(self.lines._causes), 3)
        self.happen("9")
        self.assertEqual(len(self.written), 10)

    def test_ended(self) -> None:
        """
        The end returns what was not written, and the next time is written at once.
        """
        self.assertIsNone(self.lines.ended("full"))
        for _ in range(3):
            self.happen("full")
        self.assertEqual(self.lines.ended("full"), 2)
        self.assertIsNone(self.lines.ended("full"))
        self.happen("full")
        self.assertEqual(self.written, [("full", 1), ("full", 1)])

    def test_without_a_timer(self) -> None:
        """
        Without a timer, the number is in the next line.
        """
        self.lines = RepeatedLines(self.clock.seconds)
        for _ in range(3):
            self.happen("full")
        self.clock.advance(REPEAT_SECONDS)
        self.assertEqual(len(self.written), 1)
        self.happen("full")
        self.assertEqual(self.written, [("full", 1), ("full", 3)])

    def test_more(self) -> None:
        """
        The number is in words if it was more than once.
        """
        self.assertEqual((more(1), more(3)), ("", " (2 more since the last line)"))
