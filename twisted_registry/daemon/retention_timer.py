"""
The timer of the background work on retention policies.
"""

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_registry.contracts.retention import IRetention

FIRST_SECONDS = 1.0
"""The time between the start and the first call."""


class RetentionTimer:
    """
    Calls of ``IRetention.apply_policies`` one after the other, with the pauses that it asks for.
    """

    def __init__(self, clock: IReactorTime, retention: IRetention) -> None:
        self._clock = clock
        self._retention = retention
        self._next: IDelayedCall | None = None
        self._is_stopped = False

    def start(self) -> None:
        """
        Call it for the first time a little later.
        """
        self._again(FIRST_SECONDS)

    def stop(self) -> None:
        """
        Call it no more.
        """
        self._is_stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _again(self, seconds: float) -> None:
        if not self._is_stopped:
            self._next = self._clock.callLater(seconds, self._apply)

    def _apply(self) -> None:
        self._next = None
        self._retention.apply_policies().addCallback(self._again)
