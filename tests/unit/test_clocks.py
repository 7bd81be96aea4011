"""
Tests for ``twisted_registry.daemon.clocks``.
"""

import threading
from collections.abc import Callable
from unittest import mock

from twisted.internet.base import ReactorBase
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.daemon.clocks import ThreadTimer, use_monotonic_time

PATIENCE_SECONDS = 120


class WallClock:
    """
    A clock that people set.
    """

    now = 1_600_000_000.0

    def seconds(self) -> float:
        """
        Give the time.
        """
        return self.now


class ReactorTests(SynchronousTestCase):
    """
    A reactor's timers.
    """

    def setUp(self) -> None:
        """
        Make a reactor, which does not run, and both clocks.
        """
        self.wall, self.monotonic = WallClock(), Clock()
        self.patch(ReactorBase, "seconds", staticmethod(self.wall.seconds))
        self.reactor = SelectReactor()
        self.addCleanup(self.reactor.removeAll)
        self.done: list[str] = []

    def test_the_wall_clock_does_not_matter(self) -> None:
        """
        A timer ends when its time is over, though the wall clock is set forward and back.
        """
        use_monotonic_time(self.reactor, self.monotonic.seconds)
        self.reactor.callLater(10, self.done.append, "done")
        self.wall.now += 86400
        self.reactor.runUntilCurrent()
        self.assertEqual(self.done, [])
        self.assertEqual(self.reactor.timeout(), 10)
        self.wall.now -= 2 * 86400
        self.monotonic.advance(10)
        self.reactor.runUntilCurrent()
        self.assertEqual(self.done, ["done"])

    def test_timers_that_are_set_already(self) -> None:
        """
        Timers that another clock has set keep it.
        """
        self.reactor.callLater(10, self.done.append, "done")
        use_monotonic_time(self.reactor, self.monotonic.seconds)
        self.wall.now += 10
        self.reactor.runUntilCurrent()
        self.assertEqual(self.done, ["done"])

    def test_a_clock_of_its_own(self) -> None:
        """
        A reactor that has a clock of its own keeps it.
        """

        class OwnClock(SelectReactor):
            seconds = staticmethod(self.monotonic.seconds)

        reactor = OwnClock()
        self.addCleanup(reactor.removeAll)
        use_monotonic_time(reactor, mock.Mock(side_effect=AssertionError))
        self.assertEqual(reactor.seconds(), 0)


class ThreadTimerTests(SynchronousTestCase):
    """
    A timer in a thread of its own.
    """

    def start(self, sleep: Callable[[float], None]) -> ThreadTimer:
        """
        Start a timer of ten seconds.
        """
        self.clock, self.called = Clock(), threading.Event()
        return ThreadTimer(10, self.called.set, self.clock.seconds, sleep)

    def test_ends(self) -> None:
        """
        It calls its action when its time is over, and not before.
        """
        early: list[bool] = []

        def sleep(seconds: float) -> None:
            early.append(self.called.is_set())
            self.clock.advance(seconds)

        timer = self.start(sleep)
        timer.thread.join(PATIENCE_SECONDS)
        self.assertTrue(self.called.is_set())
        self.assertEqual(self.clock.seconds(), 10)
        self.assertFalse(any(early))

    def test_cancelled(self) -> None:
        """
        Once it is cancelled its thread ends and its action is not called.
        """
        asleep, go_on = threading.Event(), threading.Event()

        def sleep(seconds: float) -> None:
            asleep.set()
            assert go_on.wait(PATIENCE_SECONDS)
            self.clock.advance(100)

        timer = self.start(sleep)
        self.assertTrue(asleep.wait(PATIENCE_SECONDS))
        timer.cancel()
        go_on.set()
        timer.thread.join(PATIENCE_SECONDS)
        self.assertFalse(self.called.is_set())
