"""
Numbers that take long to read: they are read in the background, so that those who ask never wait for a disk.
"""

import math
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.domain.errors import StorageFailure

T = TypeVar("T")

_log = Logger()

_MOST_SHARE = 0.01
"""The most time that reading may take, as a part of all time."""


class BackgroundReading(Generic[T]):
    """
    A value that is read again and again.  What takes long to read is read less often.

    Attributes:
        value: the last one; ``None`` if there is none, or if it could not be read.
        is_wanted: whether it is still to be read.
    """

    def __init__(
        self, clock: IReactorTime, name: str, read: Callable[[], "Deferred[T]"], interval_seconds: float
    ) -> None:
        """

        Args:
            clock: the clock.
            name: the value's name, for the log.
            read: reads it in another thread; may fail with ``StorageFailure``.
            interval_seconds: the least time between two attempts to read it.
        """
        self.value: T | None = None
        self.is_wanted = True
        self._clock = clock
        self._name = name
        self._read = read
        self._interval_seconds = interval_seconds
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """
        Read it now, and then periodically.
        """
        self._call = None
        began_seconds = self._clock.seconds()
        reading = self._read().addCallbacks(self._note, self._failed)
        reading.addCallback(lambda _: self._plan(self._clock.seconds() - began_seconds))

    def stop(self) -> None:
        """
        Read it no more.
        """
        self.is_wanted = False
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _plan(self, took_seconds: float) -> None:
        if self.is_wanted:
            pause_seconds = max(self._interval_seconds, math.ceil(took_seconds / _MOST_SHARE))
            self._call = self._clock.callLater(pause_seconds, self.start)

    def _note(self, value: T) -> None:
        self.value = value

    def _failed(self, failure: Failure) -> None:
        self.value = None
        if not failure.check(StorageFailure):
            _log.failure("cannot determine {name}", failure, name=self._name)
