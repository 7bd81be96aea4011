"""
Tests for ``twisted_registry.client._transport.retries`` and ``retry_log``.
"""

import asyncio
import logging

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._transport.retries import had_no_effect, is_retryable, pause_after, retry
from twisted_registry.client._transport.retry_log import RetryLog
from twisted_registry.domain.errors import (
    ArchiveChanged,
    QuotaExceeded,
    SignInsThrottled,
    StorageUnavailable,
    Unavailable,
)

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
        A lost connection is logged at once, and then once a minute, with the model and the server; the recovery is
        logged once, with the time for which the server was away.
        """
        self.log.succeeded(WALKER)
        self.fail_for(130)
        for _ in range(3):
            self.log.succeeded(WALKER)
        self.assertEqual(
            self.lines,
            [
                "the connection to the registry at host:1 is lost (model 'walker'); trying again until it is back: "
                "away",
                "there is still no connection to the registry at host:1 (model 'walker') for 60 s; trying again until "
                "it is back: away",
                "there is still no connection to the registry at host:1 (model 'walker') for 120 s; trying again until "
                "it is back: away",
                "the registry at host:1 is back (model 'walker'), after 130 s and 130 failed tries",
            ],
        )
        info, warning = logging.INFO, logging.WARNING
        self.assertEqual(self.levels, [info, warning, warning, warning])

    def test_short(self) -> None:
        """
        A short absence is not a warning, and a server that was never reached is not lost.
        """
        self.log.failed(("host:1", ""), AWAY, 30.0)
        self.log.succeeded(WALKER)
        self.assertEqual(
            self.lines,
            [
                "the registry at host:1 cannot be reached; trying again for 30 s: away",
                "the registry at host:1 is back, after 0 s and 1 failed tries",
            ],
        )
        self.assertEqual(self.levels, [logging.INFO] * 2)

    def test_coming_and_going(self) -> None:
        """
        Repeated failures and recoveries are not logged more often.
        """
        for _ in range(30):
            self.fail_for(1)
            self.log.succeeded(WALKER)
            self.clock.advance(1)
        self.assertEqual(len(self.lines), 2)

    def test_three_hundred_actors(self) -> None:
        """
        Three hundred trackers that lose one server share its lines.
        """
        for _ in range(61):
            for number in range(300):
                self.log.failed(("host:1", f"m{number}"), AWAY)
            self.clock.advance(1)
        for number in range(300):
            self.log.succeeded(("host:1", f"m{number}"))
        lost, still, back = self.lines
        self.assertIn("cannot be reached (model 'm0')", lost)
        self.assertIn("(300 models) for 60 s", still)
        self.assertEqual(back, "the registry at host:1 is back (300 models), after 61 s and 18300 failed tries")

    def test_other_servers(self) -> None:
        """
        Each server has its own lines.
        """
        self.fail_for(2)
        self.log.failed(("host:2", "walker"), AWAY)
        self.log.succeeded(("host:2", "walker"))
        self.assertEqual([line.partition("host:")[2][0] for line in self.lines], ["1", "2", "2"])

    def test_one_model(self) -> None:
        """
        An error that is about one model has lines about it, and others of the server have none.
        """
        for _ in range(2):
            self.log.failed(WALKER, StorageUnavailable("a bad sector"))
            self.clock.advance(1)
        self.log.succeeded(("host:1", "runner"))
        self.log.succeeded(WALKER)
        lost, back = self.lines
        self.assertEqual(lost[:56], "model 'walker' at host:1 cannot be used; trying again un")
        self.assertEqual(back, "model 'walker' at host:1 is back, after 2 s and 2 failed tries")

    def test_missed(self) -> None:
        """
        The change of the latest version is logged once for all trackers of a model, and for some models only.
        """
        for _ in range(300):
            self.log.missed(WALKER, 3, 7)
        for number in range(300):
            self.log.missed(("host:1", f"m{number}"), 5, 2)
        self.assertEqual(len(self.lines), 10)
        self.assertEqual(self.lines[0], "model 'walker' at host:1: version 7 follows version 3 of before the absence")
        self.assertTrue(self.lines[1].endswith("the registry lost versions that were not archived"))
        self.clock.advance(60)
        self.log.missed(WALKER, 7, 8)
        self.assertIn("version 8 follows version 7", self.lines[-1])

    def test_another_archive(self) -> None:
        """
        That the server serves another archive is a warning, once, until a call about a model succeeds.
        """
        self.fail_for(1)
        for _ in range(30):
            self.log.failed(WALKER, ArchiveChanged("one", "other"))
            self.log.succeeded(("host:1", ""))
        self.log.succeeded(WALKER)
        _, why, _, back = self.lines
        self.assertEqual(self.levels, [logging.INFO, logging.WARNING, logging.INFO, logging.WARNING])
        self.assertIn("the registry at host:1 cannot be used (model 'walker'); trying again until it is back: ", why)
        self.assertEqual(back, "the registry at host:1 is back (model 'walker'), after 0 s and 30 failed tries")

    def test_many(self) -> None:
        """
        The memory for failing servers and models is bounded.
        """
        for number in range(5000):
            self.log.failed((f"host:{number}", ""), AWAY)
            self.log.succeeded((f"host:{number}", ""))
        self.assertLess(len(self.log._outages), 1001)
        self.assertLess(len(self.log._reached), 1001)

    def test_silent_by_default(self) -> None:
        """
        A program that does not configure logging sees nothing on its terminal.
        """
        handlers = logging.getLogger("twisted_registry.client").handlers
        self.assertTrue(any(isinstance(handler, logging.NullHandler) for handler in handlers))


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
