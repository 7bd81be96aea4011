"""
The registry over an archive that removes deleted files later.
"""

from collections.abc import Callable

from zope.interface import implementer

from tests.support.registry import PumpedRegistryCase
from twisted_registry.contracts.lifecycle import IDeferredRemovals
from twisted_registry.domain.errors import StorageFailure
from twisted_registry.registry.removals import PAUSE_SHARE
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium


@implementer(IDeferredRemovals)
class _DeferringArchive(MemoryArchive):
    """
    An archive that has some removals left.

    Attributes:
        left: how many calls of ``remove_some`` have something to do.
        delay_seconds: when the next one is due.
        error: what ``remove_some`` raises.
        work: what each call of ``remove_some`` does besides.
    """

    left = 0
    delay_seconds = 0.0
    error: Exception | None = None
    work: Callable[[], None] | None = None

    def removal_seconds(self) -> float | None:
        """See ``IDeferredRemovals.removal_seconds``."""
        return self.delay_seconds if self.left else None

    def remove_some(self) -> None:
        """See ``IDeferredRemovals.remove_some``."""
        if self.error is not None:
            raise self.error
        if self.work is not None:
            self.work()
        self.left -= 1


class RemovalTests(PumpedRegistryCase):
    """
    Removals in the background.
    """

    archive: _DeferringArchive

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """
        Make an archive that has removals left.
        """
        return _DeferringArchive(medium)

    def check(self) -> None:
        """
        Check the archive, as the daemon does at intervals.
        """
        self.done(self.registry.check_archive())

    def test_start(self) -> None:
        """
        Opening the registry removes nothing, and the first check all that is due.
        """
        self.archive.left = 5
        self.pump()
        self.assertEqual(self.archive.left, 5)
        self.check()
        self.assertEqual(self.archive.left, 0)

    def test_deleted_model(self) -> None:
        """
        The deletion of a model is answered after one job has removed files; the rest follows by itself.
        """
        self.save()
        self.archive.left = 3
        deletion = self.registry.delete_model("m")
        while not deletion.called:
            self.assertEqual(self.archive.left, 3)
            self.step()
        self.assertEqual(self.archive.left, 2)
        self.pump()
        self.assertEqual(self.archive.left, 0)

    def test_deleted_large_model(self) -> None:
        """
        The deletion of a large model is answered before any file is removed, because its files would be listed first.
        """
        self.save()
        for _ in range(101):
            self.create(archived=True)
        self.archive.left = 3
        deletion = self.registry.delete_model("m")
        while not deletion.called:
            self.step()
        self.assertEqual(self.archive.left, 3)
        self.pump()
        self.assertEqual(self.archive.left, 0)

    def test_failing_removal(self) -> None:
        """
        A deletion succeeds even if nothing can be removed now.
        """
        self.save()
        self.archive.left, self.archive.error = 1, StorageFailure("I/O error")
        self.done(self.registry.delete_model("m"))

    def step(self) -> None:
        """
        Run one job of the archive, and what follows from it in the reactor.
        """
        self.disk.pump(1)
        self.reactor.pump()

    def test_one_job_at_a_time(self) -> None:
        """
        A check does not wait for the removal, which is one job in the pool at any time, however often it is started.
        """
        self.archive.left = 5
        check = self.registry.check_archive()
        while not check.called:
            self.step()
        self.assertEqual((self.archive.left, len(self.disk)), (5, 1))
        self.step()
        self.assertEqual((self.archive.left, len(self.disk)), (4, 1))
        self.done(self.registry.check_archive())
        self.assertEqual((self.archive.left, len(self.disk)), (0, 0))

    def test_not_due(self) -> None:
        """
        Removals that are not due yet are left to a later check.
        """
        self.archive.left, self.archive.delay_seconds = 2, 1.0
        self.check()
        self.assertEqual(self.archive.left, 2)
        self.archive.delay_seconds = 0.0
        self.check()
        self.assertEqual(self.archive.left, 0)

    def test_failure(self) -> None:
        """
        A failure ends the removal, and the next check tries again.
        """
        self.archive.left, self.archive.error = 2, StorageFailure("odd")
        self.check()
        self.assertEqual(self.archive.left, 2)
        self.archive.error = None
        self.check()
        self.assertEqual(self.archive.left, 0)

    def test_close(self) -> None:
        """
        Closing the registry does not wait until everything is removed.
        """
        self.archive.left = 1000
        self.registry.check_archive()
        for _ in range(10):
            self.step()
        self.assertLess(self.archive.left, 1000)
        self.done(self.registry.close())
        self.assertGreater(self.archive.left, 900)


class PauseTests(PumpedRegistryCase):
    """
    Pauses between the jobs of a removal.
    """

    archive: _DeferringArchive

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """
        Make an archive that has removals left, each of which takes a second.
        """
        self.options = {"clock": self.clock}  # type: ignore[misc]  # only of this test
        archive = _DeferringArchive(medium)
        archive.work = lambda: self.clock.advance(1.0)
        archive.left = 3
        return archive

    def test_share(self) -> None:
        """
        After each job, the archive is left alone for several times as long.
        """
        self.archive.work = lambda: self.clock.advance(0.125)
        pause_seconds = 0.125 * PAUSE_SHARE
        self.done(self.registry.check_archive())
        for left in (2, 1):
            self.assertEqual((self.archive.left, len(self.disk)), (left, 0))
            self.clock.advance(pause_seconds - 0.0625)
            self.pump()
            self.assertEqual(self.archive.left, left)
            self.clock.advance(0.0625)
            self.pump()
        self.assertEqual(self.archive.left, 0)

    def test_longest(self) -> None:
        """
        However long a job took, the next one follows soon.
        """
        self.archive.work = lambda: self.clock.advance(3600.0)
        self.done(self.registry.check_archive())
        self.assertEqual(self.archive.left, 2)
        self.clock.advance(5.0)
        self.pump()
        self.assertEqual(self.archive.left, 1)

    def test_check_in_a_pause(self) -> None:
        """
        A check starts no second removal.
        """
        for _ in range(3):
            self.done(self.registry.check_archive())
        self.assertEqual(self.archive.left, 2)

    def test_close_in_a_pause(self) -> None:
        """
        Closing the registry waits for no pause, and removes nothing more.
        """
        self.done(self.registry.check_archive())
        self.done(self.registry.close())
        self.assertEqual((self.archive.left, self.clock.getDelayedCalls()), (2, []))
