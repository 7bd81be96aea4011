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

TIMEOUT_SECONDS = 120


class WallClock:
    """
    A clock that people set.
    """

    now = 1_600_000_000.0

    def seconds(self) -> float:
        """
        Return the time.
        """
        return self.now


class ReactorTests(SynchronousTestCase):
    """
    A reactor's timers.
    """

    def setUp(self) -> None:
        """
        Make a reactor that does not run, and both clocks.
        """
        self.wall, self.monotonic = WallClock(), Clock()
        self.patch(ReactorBase, "seconds", staticmethod(self.wall.seconds))
        self.reactor = SelectReactor()
        self.addCleanup(self.reactor.removeAll)
        self.done: list[str] = []

    def test_the_wall_clock_does_not_matter(self) -> None:
        """
        A timer expires in time, even if the wall clock is set forward and back.
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
        Timers that were set with another clock keep it.
        """
        self.reactor.callLater(10, self.done.append, "done")
        use_monotonic_time(self.reactor, self.monotonic.seconds)
        self.wall.now += 10
        self.reactor.runUntilCurrent()
        self.assertEqual(self.done, ["done"])

    def test_a_clock_of_its_own(self) -> None:
        """
        A reactor with its own clock keeps it.
        """

        class OwnClock(SelectReactor):
            seconds = staticmethod(self.monotonic.seconds)

        reactor = OwnClock()
        self.addCleanup(reactor.removeAll)
        use_monotonic_time(reactor, mock.Mock(side_effect=AssertionError))
        self.assertEqual(reactor.seconds(), 0)


class ThreadTimerTests(SynchronousTestCase):
    """
    A timer in a thread.
    """

    def start(self, sleep: Callable[[float], None]) -> ThreadTimer:
        """
        Start a timer of ten seconds.
        """
        self.clock, self.called = Clock(), threading.Event()
        return ThreadTimer(10, self.called.set, self.clock.seconds, sleep)

    def test_ends(self) -> None:
        """
        The action is called when the timer expires, and not before.
        """
        early: list[bool] = []

        def sleep(seconds: float) -> None:
            early.append(self.called.is_set())
            self.clock.advance(seconds)

        timer = self.start(sleep)
        timer.thread.join(TIMEOUT_SECONDS)
        self.assertTrue(self.called.is_set())
        self.assertEqual(self.clock.seconds(), 10)
        self.assertFalse(any(early))

    def test_cancelled(self) -> None:
        """
        After a cancellation the thread exits and the action is not called.
        """
        asleep, go_on = threading.Event(), threading.Event()

        def sleep(seconds: float) -> None:
            asleep.set()
            assert go_on.wait(TIMEOUT_SECONDS)
            self.clock.advance(100)

        timer = self.start(sleep)
        self.assertTrue(asleep.wait(TIMEOUT_SECONDS))
        timer.cancel()
        go_on.set()
        timer.thread.join(TIMEOUT_SECONDS)
        self.assertFalse(self.called.is_set())
