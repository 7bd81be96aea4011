"""
The measurement of an event loop's lag.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_INTERVAL_SECONDS = 1.0


class LagMeter:
    """
    A timer that reports once a second by how much it fired too late: for so long, nothing else could run either.
    """

    def __init__(self, clock: IReactorTime, lagged: Callable[[float], None]) -> None:
        """

        Args:
            clock: the reactor.
            lagged: called with the seconds.
        """
        self._clock = clock
        self._lagged = lagged
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """
        Begin to measure.
        """
        self._due_seconds = self._clock.seconds() + _INTERVAL_SECONDS
        self._call = self._clock.callLater(_INTERVAL_SECONDS, self._fire)

    def _fire(self) -> None:
        self._lagged(max(0.0, self._clock.seconds() - self._due_seconds))
        self.start()

    def stop(self) -> None:
        """
        Measure no more.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
