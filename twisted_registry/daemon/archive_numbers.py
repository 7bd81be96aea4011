"""
The size of the archive: read in the background once somebody wants to know it.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.observation import IArchiveNumbers, IDiskReporter, ISizeReporter
from twisted_registry.daemon.background_reading import BackgroundReading

DISK_SECONDS = 10.0
SIZE_SECONDS = 60.0
"""The least time between two readings of each."""

_Pair = tuple[int, int]
_Reading = BackgroundReading[_Pair]


@implementer(IArchiveNumbers)
class ArchiveNumbers:
    """
    The space on the archive's disk, and what the archive takes of it.
    """

    def __init__(
        self, reactor: Any, archive: IArchive, run: Callable[[Callable[[], _Pair]], "Deferred[_Pair]"]
    ) -> None:
        """

        Args:
            archive: the archive, which may provide ``IDiskReporter`` and ``ISizeReporter``.
            run: calls a function in another thread.
        """
        self._reactor = reactor
        self._disk: _Reading | None = None
        self._size: _Reading | None = None
        if IDiskReporter.providedBy(archive):
            read_disk = IDiskReporter(archive).disk_bytes
            self._disk = BackgroundReading(
                reactor, "the space on the archive's disk", lambda: run(read_disk), DISK_SECONDS
            )
        if ISizeReporter.providedBy(archive):
            count = ISizeReporter(archive).stored
            self._size = size = BackgroundReading(
                reactor, "the size of the archive", lambda: run(lambda: count(lambda: size.is_wanted)), SIZE_SECONDS
            )
        self._is_started = self._is_stopped = False

    @property
    def has_disk(self) -> bool:
        """
        Return whether the space on the disk can be read.
        """
        return self._disk is not None

    @property
    def has_size(self) -> bool:
        """
        Return whether the archive can be counted.
        """
        return self._size is not None

    def disk_bytes(self) -> _Pair | None:
        """See ``IArchiveNumbers.disk_bytes``."""
        return self._value(self._disk)

    def stored(self) -> _Pair | None:
        """See ``IArchiveNumbers.stored``."""
        return self._value(self._size)

    def _value(self, reading: _Reading | None) -> _Pair | None:
        if not self._is_started:
            self._reactor.callFromThread(self.start)
        return None if reading is None else reading.value

    def start(self) -> None:
        """
        Read now, and then periodically.  Called in the reactor's thread.
        """
        if self._is_started or self._is_stopped:
            return
        self._is_started = True
        for reading in self._readings:
            reading.start()

    def stop(self) -> None:
        """
        Read no more.
        """
        self._is_stopped = True
        for reading in self._readings:
            reading.stop()

    @property
    def _readings(self) -> list[_Reading]:
        return [reading for reading in (self._disk, self._size) if reading is not None]
