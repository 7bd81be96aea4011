"""
The supervision of the archive.
"""

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.daemon.supervision import Supervisor
from twisted_registry.domain.errors import ArchiveMoved, ArchiveTaken, StorageFailure

EVERY_SECONDS = 5.0
PATIENCE_SECONDS = 30.0


class SupervisorTests(SynchronousTestCase):
    """
    ``Supervisor``, over a check that does what the test says.
    """

    def setUp(self) -> None:
        """
        Supervise an archive that is well.
        """
        self.clock = Clock()
        self.archive_status = ArchiveStatus()
        self.changes: list[bool] = []
        self.taken: list[ArchiveTaken] = []
        self.runs = 0
        self.told_before = 0
        self.outcome: Deferred[None] = succeed(None)
        self.supervisor = Supervisor(
            self.clock,
            "/archive",
            self.archive_status,
            lambda: self.changes.append(not self.archive_status.problem),
            self.taken.append,
            PATIENCE_SECONDS,
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

    def told(self) -> list[tuple[LogLevel, str]]:
        """
        Give what the log was told since this was asked last.
        """
        told = [(event["log_level"], formatEvent(event)) for event in self.events]
        told, self.told_before = told[self.told_before :], len(told)
        return told

    def test_well(self) -> None:
        """
        Nobody is told of an archive that is well.
        """
        for _ in range(3):
            self.tick()
        self.assertEqual((self.runs, self.changes, self.told()), (3, [], []))

    def test_trouble_and_its_end(self) -> None:
        """
        Health and log are told once that the archive cannot be used, with the reason, and once that it can be again.
        """
        for _ in range(3):
            self.tick(fail(ArchiveMoved("nothing is at its path")))
        self.assertEqual(self.archive_status.problem, "nothing is at its path")
        ((level, line),) = self.told()
        self.assertEqual(level, LogLevel.critical)
        for part in ("/archive", "nothing is at its path", "NOT_SERVING"):
            self.assertIn(part, line)
        self.tick()
        self.assertEqual((self.changes, self.archive_status.problem), ([False, True], ""))
        ((level, line),) = self.told()
        self.assertEqual(level, LogLevel.info)
        self.assertIn("can be used again", line)

    def test_reason_changes(self) -> None:
        """
        Another reason is known, and not told anew.
        """
        self.tick(fail(ArchiveMoved("gone")))
        self.tick(fail(StorageFailure("stale")))
        self.assertEqual((self.archive_status.problem, self.changes, len(self.told())), ("stale", [False], 1))

    def test_hangs(self) -> None:
        """
        A check that hangs counts as failed after a while, and no other one is begun beside it.
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
        The archive can be used when no check finds anything; one that hangs holds up no other.
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
        Where another process has taken the archive, nothing is checked any more.
        """
        self.tick(fail(ArchiveTaken("another")))
        self.assertEqual([error.owner for error in self.taken], ["another"])
        self.tick()
        self.assertEqual(self.runs, 1)

    def test_bug(self) -> None:
        """
        A check that fails for a reason nobody foresaw is trouble too, and the log has the reason.
        """
        self.tick(fail(ZeroDivisionError()))
        self.assertEqual(self.changes, [False])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stopped(self) -> None:
        """
        Once it is stopped, nothing is checked, and what a check under way finds is of no interest.
        """
        under_way: Deferred[None] = Deferred()
        self.tick(under_way)
        self.supervisor.stop()
        self.tick()
        under_way.errback(ArchiveMoved("gone"))
        self.assertEqual((self.runs, self.changes, self.archive_status.problem), (1, [], ""))
        self.assertEqual(self.clock.getDelayedCalls(), [])
