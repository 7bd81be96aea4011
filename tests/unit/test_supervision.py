"""
Tests for ``twisted_registry.daemon.supervision``.
"""

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.daemon.supervision import Supervisor
from twisted_registry.domain.errors import ArchiveMoved, ArchiveTaken, StorageFailure
from twisted_registry.domain.events import StorageFailed

EVERY_SECONDS = 5.0
TIMEOUT_SECONDS = 30.0


class SupervisorTests(SynchronousTestCase):
    """
    ``Supervisor`` with a check that the test controls.
    """

    def setUp(self) -> None:
        """
        Supervise an archive without problems.
        """
        self.clock = Clock()
        self.archive_status = ArchiveStatus()
        self.changes: list[bool] = []
        self.taken: list[ArchiveTaken] = []
        self.runs = 0
        self.logged_before = 0
        self.outcome: Deferred[None] = succeed(None)
        self.supervisor = Supervisor(
            self.clock,
            "/archive",
            self.archive_status,
            lambda: self.changes.append(not self.archive_status.problem),
            self.taken.append,
            TIMEOUT_SECONDS,
        )
        self.supervisor.start(self.run_check, EVERY_SECONDS)
        self.events = self.enterContext(capturedLogs())

    def run_check(self) -> "Deferred[None]":
        """
        Make the check.
        """
        self.runs += 1
        return self.outcome

    def tick(self, outcome: "Deferred[None] | None" = None) -> None:
        """
        Let the time for a check come.

        Args:
            outcome: what the check comes to.
        """
        self.outcome = outcome or succeed(None)
        self.clock.advance(EVERY_SECONDS)

    def logged(self) -> list[tuple[LogLevel, str]]:
        """
        Return what was logged since the last call.
        """
        lines = [(event["log_level"], formatEvent(event)) for event in self.events]
        lines, self.logged_before = lines[self.logged_before :], len(lines)
        return lines

    def test_well(self) -> None:
        """
        An archive without problems is not reported.
        """
        for _ in range(3):
            self.tick()
        self.assertEqual((self.runs, self.changes, self.logged()), (3, [], []))

    def test_problem_and_its_end(self) -> None:
        """
        Health and log are updated once when the archive becomes unusable, with the reason, and once when it is usable
        again.
        """
        for _ in range(3):
            self.tick(fail(ArchiveMoved("nothing is at its path")))
        self.assertEqual(self.archive_status.problem, "nothing is at its path")
        ((level, line),) = self.logged()
        self.assertEqual(level, LogLevel.critical)
        for part in ("/archive", "nothing is at its path", "NOT_SERVING"):
            self.assertIn(part, line)
        self.tick()
        self.assertEqual((self.changes, self.archive_status.problem), ([False, True], ""))
        ((level, line),) = self.logged()
        self.assertEqual(level, LogLevel.info)
        self.assertIn("can be used again", line)

    def test_reason_changes(self) -> None:
        """
        Another reason is recorded, but not logged again.
        """
        self.tick(fail(ArchiveMoved("gone")))
        self.tick(fail(StorageFailure("stale")))
        self.assertEqual((self.archive_status.problem, self.changes, len(self.logged())), ("stale", [False], 1))

    def test_hangs(self) -> None:
        """
        A check that hangs counts as failed after the timeout, and is not started a second time.
        """
        hanging: Deferred[None] = Deferred()
        self.tick(hanging)
        for _ in range(5):
            self.clock.advance(EVERY_SECONDS)
        self.assertEqual(self.changes, [])
        self.clock.advance(EVERY_SECONDS)
        self.assertEqual((self.runs, self.changes), (1, [False]))
        self.assertIn("not answered for 30 s", self.archive_status.problem)
        hanging.callback(None)
        self.assertEqual(self.changes, [False, True])
        self.tick()
        self.assertEqual(self.runs, 2)

    def test_each_check_counts(self) -> None:
        """
        The archive is usable when no check finds a problem; a check that hangs does not delay the others.
        """
        others: list[Deferred[None]] = [Deferred(), Deferred()]
        self.supervisor.start(iter(others).__next__, EVERY_SECONDS)
        self.tick(fail(ArchiveMoved("gone")))
        others[0].errback(StorageFailure("stale"))
        self.tick()
        self.assertEqual((self.archive_status.problem, self.changes), ("stale", [False]))
        others[1].callback(None)
        self.assertEqual((self.archive_status.problem, self.changes), ("", [False, True]))

    def test_taken(self) -> None:
        """
        If another process has taken the archive, all checks stop.
        """
        self.tick(fail(ArchiveTaken("another")))
        self.assertEqual([error.owner for error in self.taken], ["another"])
        self.tick()
        self.assertEqual(self.runs, 1)

    def test_bug(self) -> None:
        """
        An unexpected failure of a check is a problem too, and the log has the traceback.
        """
        self.tick(fail(ZeroDivisionError()))
        self.assertEqual(self.changes, [False])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_storage_failed(self) -> None:
        """
        If the registry cannot store something, the archive is checked at once, until a problem is known.
        """
        publish: list[Any] = []
        registry: Any = SimpleNamespace(subscribe=lambda listener, *kinds: publish.append((listener, kinds)))
        self.supervisor.follow(registry)
        ((listener, kinds),) = publish
        self.assertEqual(kinds, (StorageFailed,))
        event = StorageFailed("create version", "m", ArchiveMoved("gone"))
        self.outcome = Deferred()
        for _ in range(3):
            listener(event)
        self.assertEqual(self.runs, 1)
        self.outcome.errback(ArchiveMoved("gone"))
        self.assertEqual((self.changes, self.archive_status.problem), ([False], "gone"))
        listener(event)
        self.assertEqual(self.runs, 1)
        self.tick()
        self.assertEqual((self.runs, self.changes), (2, [False, True]))
        listener(event)
        self.assertEqual(self.runs, 3)

    def test_stopped(self) -> None:
        """
        After a stop there are no checks, and the result of a running check is ignored.
        """
        under_way: Deferred[None] = Deferred()
        self.tick(under_way)
        self.supervisor.stop()
        self.tick()
        under_way.errback(ArchiveMoved("gone"))
        self.assertEqual((self.runs, self.changes, self.archive_status.problem), (1, [], ""))
        self.assertEqual(self.clock.getDelayedCalls(), [])
