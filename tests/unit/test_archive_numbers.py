"""
Tests for ``twisted_registry.daemon.archive_numbers``.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_registry.contracts.observation import IDiskReporter, ISizeReporter
from twisted_registry.daemon.archive_numbers import DISK_SECONDS, ArchiveNumbers


class CallingClock(Clock):
    """
    A clock that calls functions of other threads at once.
    """

    def callFromThread(self, function: Callable[[], object]) -> None:
        """
        Call a function.
        """
        function()


@implementer(IDiskReporter, ISizeReporter)
class CountedArchive:
    """
    An archive that counts how often it is read.
    """

    free_bytes = 70

    def __init__(self) -> None:
        self.reads = 0

    def disk_bytes(self) -> tuple[int, int]:
        """See ``IDiskReporter.disk_bytes``."""
        self.reads += 1
        return self.free_bytes, 100

    def stored(self, is_wanted: Callable[[], bool]) -> tuple[int, int]:
        """See ``ISizeReporter.stored``."""
        return (3, 30) if is_wanted() else (0, 0)


def run(read: Callable[[], tuple[int, int]]) -> "Deferred[tuple[int, int]]":
    """
    Read at once.
    """
    return succeed(read())


class ArchiveNumbersTests(SynchronousTestCase):
    """
    The archive is read in the background, once somebody wants to know.
    """

    def setUp(self) -> None:
        """
        Make the numbers.
        """
        self.clock, self.archive = CallingClock(), CountedArchive()
        any_archive: Any = self.archive
        self.numbers = ArchiveNumbers(self.clock, any_archive, run)
        self.addCleanup(self.numbers.stop)

    def test_nobody_asks(self) -> None:
        """
        Nothing is read while nobody asks.
        """
        self.clock.advance(10 * DISK_SECONDS)
        self.assertEqual((self.archive.reads, self.clock.getDelayedCalls()), (0, []))

    def test_asked(self) -> None:
        """
        The first question starts the readings, which go on until they are stopped.
        """
        self.numbers.disk_bytes()
        self.assertEqual((self.numbers.disk_bytes(), self.numbers.stored()), ((70, 100), (3, 30)))
        self.archive.free_bytes = 60
        self.assertEqual(self.numbers.disk_bytes(), (70, 100))
        self.clock.advance(DISK_SECONDS)
        self.assertEqual((self.numbers.disk_bytes(), self.archive.reads), ((60, 100), 2))
        self.numbers.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.numbers.start()
        self.assertEqual(self.archive.reads, 2)

    def test_other_archive(self) -> None:
        """
        Of an archive that cannot be counted nothing is known.
        """
        nothing: Any = object()
        numbers = ArchiveNumbers(self.clock, nothing, run)
        self.assertEqual((numbers.disk_bytes(), numbers.stored()), (None, None))
        self.assertEqual((numbers.has_disk, numbers.has_size), (False, False))
