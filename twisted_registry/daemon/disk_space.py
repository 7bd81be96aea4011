"""
The space on the archive's disk, asked for in the background: a disk that hangs must not delay those who read it.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.domain.errors import StorageFailure

_log = Logger()

_INTERVAL_SECONDS = 10.0


class DiskSpace:
    """
    The last known space on a disk.

    Attributes:
        free_bytes: how much can still be written; ``None`` if it is not known.
        size_bytes: the size of the disk; ``None`` if it is not known.
    """

    free_bytes: int | None = None
    size_bytes: int | None = None

    def __init__(self, clock: IReactorTime, ask: Callable[[], "Deferred[tuple[int, int]]"]) -> None:
        """

        Args:
            clock: the clock.
            ask: returns both, from another thread; or fails with ``StorageFailure``.
        """
        self._ask = ask
        self._loop = LoopingCall(self._update)
        self._loop.clock = clock

    def start(self) -> None:
        """
        Ask now, and then periodically.
        """
        self._loop.start(_INTERVAL_SECONDS)

    def stop(self) -> None:
        """
        Ask no more.
        """
        if self._loop.running:
            self._loop.stop()

    def _update(self) -> "Deferred[None]":
        return self._ask().addCallbacks(self._note, self._failed)

    def _note(self, space: tuple[int, int]) -> None:
        self.free_bytes, self.size_bytes = space

    def _failed(self, failure: Failure) -> None:
        self.free_bytes = self.size_bytes = None
        if not failure.check(StorageFailure):
            _log.failure("cannot determine the space on the archive's disk", failure)
