"""
Tests for ``twisted_registry.observability.line_limit``.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, LogLevel, LogPublisher, formatEvent
from twisted.python.log import LogPublisher as LegacyLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.observability.line_limit import KINDS_MAX, LINES_MAX, LineLimit
from twisted_registry.repeated_lines import REPEAT_SECONDS


def divide() -> None:
    """
    Fail.
    """
    _ = 1 // 0


def look_up() -> None:
    """
    Fail in another way.
    """
    names: dict[str, int] = {}
    _ = names[""]


class LineLimitTests(SynchronousTestCase):
    """
    Lines that repeat are counted.
    """

    def setUp(self) -> None:
        """
        Make an observer with a clock.
        """
        self.clock = Clock()
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        self.limit = LineLimit(observer, self.clock.seconds)
        self.log = Logger(namespace="twisted_registry.tests", observer=self.limit)

    @property
    def texts(self) -> list[str]:
        """
        The texts that were passed on.
        """
        return [formatEvent(event) for event in self.events]

    @property
    def tracebacks(self) -> int:
        """
        How many events have a traceback.
        """
        return sum("log_failure" in event for event in self.events)

    def fail(self, act: Callable[[], None], incident: str) -> None:  # type: ignore[override]
        """
        Log a failure.
        """
        try:
            act()
        except Exception:
            self.log.failure("incident {incident}", incident=incident)

    def test_tracebacks(self) -> None:
        """
        Each traceback is written once a minute; other incidents with it are a line with their id.
        """
        for act in (divide, look_up):
            self.fail(act, "a")
            self.fail(act, "b")
        again = "incident b, with a traceback that was logged within the last minute"
        self.assertEqual(self.texts, ["incident a", again, "incident a", again])
        self.assertEqual(self.tracebacks, 2)

    def test_flood_of_bugs(self) -> None:
        """
        10,000 incidents with one traceback are 50 lines, one of them with the traceback, and the number of the others.
        """
        for number in range(10_000):
            self.fail(divide, str(number))
        self.assertEqual((len(self.events), self.tracebacks), (LINES_MAX, 1))
        self.limit.flush()
        self.assertEqual(len(self.events), LINES_MAX)
        self.clock.advance(REPEAT_SECONDS)
        self.limit.flush()
        self.limit.flush()
        self.assertEqual(
            self.texts[LINES_MAX:], ["9950 more lines like this one were left out within a minute: incident 0"]
        )
        self.assertEqual(self.tracebacks, 1)

    def test_next_minute(self) -> None:
        """
        In the next minute, the traceback is written again, after the number of lines before.
        """
        for number in range(LINES_MAX + 1):
            self.fail(divide, str(number))
        self.clock.advance(REPEAT_SECONDS)
        self.fail(divide, "later")
        self.assertEqual(
            self.texts[LINES_MAX:],
            ["1 more lines like this one were left out within a minute: incident 0", "incident later"],
        )
        self.assertEqual(self.tracebacks, 2)

    def test_warnings(self) -> None:
        """
        Warnings of one form are one kind, whatever their values are.  Other lines of the package are not limited.
        """
        for number in range(2 * LINES_MAX):
            self.log.warn("{number} is odd", number=number)
            self.log.info("{number} is even", number=number)
            self.log.debug("{number} is a number", number=number)
        self.assertEqual(sum("odd" in text for text in self.texts), LINES_MAX)
        self.assertEqual(len(self.texts), 5 * LINES_MAX)

    def test_many_kinds(self) -> None:
        """
        Only so many kinds of lines are remembered; the one that began first is forgotten.
        """
        for _ in range(LINES_MAX + 1):
            self.log.warn("the first kind")
        for number in range(KINDS_MAX):
            self.log.warn(f"kind {number}")
        self.log.warn("the first kind")
        self.assertEqual(self.texts.count("the first kind"), LINES_MAX + 1)

    def test_other_libraries(self) -> None:
        """
        Lines of other libraries are limited by their text.
        """
        other = Logger(namespace="twisted.internet.tcp", observer=self.limit)
        for _ in range(2 * LINES_MAX):
            other.info("{name}", name="EMFILE encountered")
        other.info("{name}", name="something else")
        self.assertEqual(len(self.texts), LINES_MAX + 1)

    def test_legacy(self) -> None:
        """
        Events of Twisted's older logging are limited too.
        """
        publisher = LogPublisher(self.limit)
        legacy = LegacyLogPublisher(publisher, publisher)
        for _ in range(2 * LINES_MAX):
            legacy.msg("an old one", system="older")
        self.assertEqual(self.texts, ["an old one"] * LINES_MAX)
        self.assertEqual({event["log_level"] for event in self.events}, {LogLevel.info})
