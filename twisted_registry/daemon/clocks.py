"""
Timers that follow no clock which people and time servers set.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.base import ReactorBase

_LOOK_EVERY_SECONDS = 0.5


def use_monotonic_time(reactor: Any, clock: Callable[[], float] = time.monotonic) -> None:
    """
    Have a reactor's timers follow a monotonic clock.

    Most of Twisted's reactors follow the wall clock: set forward by an hour, it ends all timers at once, and set back,
    it keeps them for an hour.  This does nothing to a reactor that has a clock of its own, or that has timers already.
    """
    if type(reactor).seconds is ReactorBase.seconds and not reactor.getDelayedCalls():
        reactor.seconds = clock


class ThreadTimer:
    """
    A timer that does not need the reactor, and so also ends when that stands still.
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
            action: what is called, in a thread of its own, unless the timer was cancelled before.
        """
        self._deadline = clock() + seconds
        self._action, self._clock, self._sleep = action, clock, sleep
        self._cancelled = False
        self.thread = threading.Thread(target=self._run, name="timer", daemon=True)
        self.thread.start()

    def cancel(self) -> None:
        """
        Have the action not called, unless that has begun.
        """
        self._cancelled = True

    def _run(self) -> None:
        # Python's waits with a timeout may follow the wall clock, by the C library that it was built with.
        while not self._cancelled:
            left = self._deadline - self._clock()
            if left <= 0:
                self._action()
                return
            self._sleep(min(left, _LOOK_EVERY_SECONDS))
