"""
Tests of the timer of the background work on retention policies.
"""

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.daemon.retention_timer import FIRST_SECONDS, RetentionTimer


@define
class _Retention:
    """
    Work whose end a test decides.
    """

    calls: list[Deferred[float]] = field(factory=list)

    def apply_policies(self) -> Deferred[float]:
        """See ``IRetention.apply_policies``."""
        self.calls.append(Deferred())
        return self.calls[-1]


class RetentionTimerTests(SynchronousTestCase):
    """
    A timer that was started.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        self.clock = Clock()
        self.retention = _Retention()
        retention: Any = self.retention
        self.timer = RetentionTimer(self.clock, retention)
        self.timer.start()

    def test_pauses(self) -> None:
        """
        A call follows the end of the last one, after the pause that it asked for.
        """
        self.clock.advance(FIRST_SECONDS)
        self.clock.advance(100)
        self.assertEqual(len(self.retention.calls), 1)
        self.retention.calls[0].callback(5.0)
        self.clock.advance(4)
        self.assertEqual(len(self.retention.calls), 1)
        self.clock.advance(1)
        self.assertEqual(len(self.retention.calls), 2)

    def test_stopped(self) -> None:
        """
        After the stop there are no more calls, also if one was under way.
        """
        self.clock.advance(FIRST_SECONDS)
        self.timer.stop()
        self.retention.calls[0].callback(1.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_in_a_pause(self) -> None:
        """
        A pause ends with the stop.
        """
        self.timer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
