"""
Timers that are independent of the wall clock, which people and time servers set.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.base import ReactorBase

_MAX_SLEEP_SECONDS = 0.5


def use_monotonic_time(reactor: Any, clock: Callable[[], float] = time.monotonic) -> None:
    """
    Make a reactor's timers follow a monotonic clock.

    Most of Twisted's reactors follow the wall clock: if it is set forward by an hour, all timers expire at once, and if
    it is set back, they are an hour late.  A reactor with another clock, or with pending timers, is left unchanged.

    Args:
        reactor: the reactor.
        clock: returns the time in seconds.
    """
    if type(reactor).seconds is ReactorBase.seconds and not reactor.getDelayedCalls():
        reactor.seconds = clock


class ThreadTimer:
    """
    A timer in a thread, which expires even if the reactor is blocked.
    """

    def __init__(
        self,
        seconds: float,
        action: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Start the timer.

        Args:
            seconds: the time until it expires.
            action: called in the timer's thread when it expires, unless it was cancelled.
            clock: returns the time in seconds.
            sleep: sleeps for some seconds.
        """
        self._deadline = clock() + seconds
        self._action, self._clock, self._sleep = action, clock, sleep
        self._cancelled = False
        self.thread = threading.Thread(target=self._run, name="timer", daemon=True)
        self.thread.start()

    def cancel(self) -> None:
        """
        Prevent the action, unless it has begun.
        """
        self._cancelled = True

    def _run(self) -> None:
        # The wait is split: depending on the C library, Python's waits with a timeout follow the wall clock.
        while not self._cancelled:
            left = self._deadline - self._clock()
            if left <= 0:
                self._action()
                return
            self._sleep(min(left, _MAX_SLEEP_SECONDS))
