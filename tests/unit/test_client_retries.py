"""
Tests of retries and their log.
"""

import asyncio
import logging

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._transport.retries import RetryLog, had_no_effect, is_retryable, pause_after, retry
from twisted_registry.domain.errors import ArchiveChanged, QuotaExceeded, SignInsThrottled, Unavailable

WALKER = ("host:1", "walker")
AWAY = Unavailable("away")


class RetryLogTests(SynchronousTestCase):
    """
    ``RetryLog``, with the test's clock.
    """

    def setUp(self) -> None:
        """
        Listen to the logger.
        """
        self.clock = Clock()
        self.log = RetryLog(self.clock.seconds)
        self.lines: list[str] = []
        self.levels: list[int] = []
        handler = logging.Handler(logging.INFO)
        handler.emit = self.note  # type: ignore[method-assign]
        logger = logging.getLogger("twisted_registry.client")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)

    def note(self, record: logging.LogRecord) -> None:
        """
        Record a line.
        """
        self.lines.append(record.getMessage())
        self.levels.append(record.levelno)

    def fail_for(self, seconds: int) -> None:
        """
        Fail once a second.
        """
        for _ in range(seconds):
            self.log.failed(WALKER, AWAY)
            self.clock.advance(1)

    def test_a_line_a_minute(self) -> None:
        """
        Lasting failures are logged at once, and then once a minute, with the model; the recovery is logged once.
        """
        self.fail_for(130)
        self.assertEqual(len(self.lines), 3)
        for _ in range(3):
            self.log.succeeded(WALKER)
        self.assertEqual(len(self.lines), 4)
        for line in self.lines:
            self.assertIn("model 'walker' at host:1: ", line)
        self.assertIn("away", self.lines[0])
        self.assertIn("back, after 130 s", self.lines[-1])

    def test_coming_and_going(self) -> None:
        """
        Repeated failures and recoveries are not logged more often.
        """
        for _ in range(30):
            self.fail_for(1)
            self.log.succeeded(WALKER)
            self.clock.advance(1)
        self.assertEqual(len(self.lines), 2)

    def test_others(self) -> None:
        """
        Each model has its own lines; a model that never failed has none.
        """
        self.fail_for(2)
        self.log.failed(("host:1", "runner"), AWAY)
        self.log.failed(("host:1", ""), AWAY)
        self.log.succeeded(("host:1", "jumper"))
        self.assertEqual(len(self.lines), 3)
        self.assertIn("the registry at host:1", self.lines[-1])

    def test_another_archive(self) -> None:
        """
        That the server serves another archive is a warning, once.
        """
        self.fail_for(1)
        for _ in range(30):
            self.log.failed(WALKER, ArchiveChanged("one", "other"))
        self.assertEqual(self.levels, [logging.INFO, logging.WARNING])

    def test_many(self) -> None:
        """
        The memory for failing models is bounded.
        """
        for number in range(5000):
            self.log.failed(("host:1", str(number)), AWAY)
        self.assertLess(len(self.log._outages), 1001)


class QuotaRetryTests(SynchronousTestCase):
    """
    ``retry`` comes back when a quota permits it.
    """

    def setUp(self) -> None:
        """
        Record the pauses.
        """
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """
        Record a pause, instead of waiting.
        """
        self.pauses.append(seconds)

    def refused(self, times: int, retry_after_seconds: float, retry_seconds: float | None) -> str:
        """
        Return the result of an action that a quota refuses so many times.
        """
        errors = [QuotaExceeded("q", "calls_per_second = 1", "used up", retry_after_seconds)] * times

        async def act() -> str:
            if errors:
                raise errors.pop()
            return "done"

        return asyncio.run(retry(act, retry_seconds, sleep=self.sleep))

    def test_it_waits_as_long_as_asked(self) -> None:
        """
        Each pause is at least as long as the quota asks for, the first one and later ones.
        """
        self.assertEqual(self.refused(3, 5.0, 60.0), "done")
        self.assertEqual(len(self.pauses), 3)
        for pause in self.pauses:
            self.assertTrue(5.0 <= pause < 8.0, self.pauses)

    def test_it_waits_for_throttled_sign_ins(self) -> None:
        """
        So it does if the server checks no more tokens for a while.
        """
        self.assertGreaterEqual(pause_after(SignInsThrottled("too many", 5.0), 0.5), 5.5)
        self.assertEqual(pause_after(Unavailable("away"), 0.5), 0.5)

    def test_it_does_not_wait_in_vain(self) -> None:
        """
        If the quota asks for more time than the caller has, the error is raised at once.
        """
        error = self.assertRaises(QuotaExceeded, self.refused, 1, 61.0, 60.0)
        self.assertEqual((error.retry_after_seconds, self.pauses), (61.0, []))

    def test_waiting_does_not_help(self) -> None:
        """
        A quota of what is stored is not asked again.
        """
        self.assertRaises(QuotaExceeded, self.refused, 1, 0.0, None)
        self.assertEqual(self.pauses, [])

    def test_nothing_was_done(self) -> None:
        """
        A refused call can be repeated even if it must not be carried out twice.
        """
        for seconds in (0.0, 1.0):
            error = QuotaExceeded("q", "calls_per_second = 1", "used up", seconds)
            self.assertTrue(had_no_effect(error))
            self.assertEqual(is_retryable(error), seconds > 0)
