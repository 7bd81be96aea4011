"""
Tests for ``twisted_registry.daemon.readiness`` and ``twisted_registry.daemon.disk_space``.
"""

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from twisted_registry.contracts.observation import IDiskReporter
from twisted_registry.contracts.ownership import ArchiveStatus, IProbedArchive
from twisted_registry.daemon.disk_space import WARN_SECONDS, DiskSpace
from twisted_registry.daemon.readiness import (
    FAILED_SECONDS,
    INTERVAL_SECONDS,
    PAUSE_SECONDS,
    RECOVERY_SECONDS,
    TIMEOUT_SECONDS,
    Finding,
    WriteReadiness,
    examine,
)
from twisted_registry.domain.errors import (
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from twisted_registry.domain.events import ModelSaved, StorageFailed, VersionCommitted

READ_ONLY = Finding("Read-only file system")
WELL = Finding()


class FakeArchive:
    """
    An archive that is probed and reports its disk, as the test says.
    """

    description = "/archive"

    def __init__(self, *interfaces: Any) -> None:
        directlyProvides(self, *interfaces)
        self.error: Exception | None = None
        self.disk_error: Exception | None = None

    def probe(self) -> None:
        """See ``IProbedArchive.probe``."""
        if self.error is not None:
            raise self.error

    def disk_bytes(self) -> tuple[int, int]:
        """See ``IDiskReporter.disk_bytes``."""
        if self.disk_error is not None:
            raise self.disk_error
        return 5, 10


class ExamineTests(SynchronousTestCase):
    """
    The examination of an archive.
    """

    def setUp(self) -> None:
        """
        Make an archive that can be probed.
        """
        self.archive: Any = FakeArchive(IProbedArchive, IDiskReporter)

    def test_well(self) -> None:
        """
        Without an error there is no reason, and the space is known.
        """
        self.assertEqual(examine(self.archive), Finding("", (5, 10)))

    def test_errors(self) -> None:
        """
        Each error of the medium is the reason, and the space is read nevertheless.
        """
        for error in (StorageFull("full"), StorageReadOnly("ro"), StorageFailure("EIO")):
            self.archive.error = error
            self.assertEqual(examine(self.archive), Finding(error.reason, (5, 10)))

    def test_space_is_unknown(self) -> None:
        """
        A disk that does not say how much is free is not a problem.
        """
        self.archive.disk_error = StorageUnavailable("stale")
        self.assertEqual(examine(self.archive), WELL)

    def test_optional(self) -> None:
        """
        An archive without these contracts is not asked.
        """
        plain: Any = SimpleNamespace(description="plain")
        self.assertEqual(examine(plain), WELL)

    def test_bug(self) -> None:
        """
        Any other error gets out.
        """
        self.archive.error = ZeroDivisionError()
        self.assertRaises(ZeroDivisionError, examine, self.archive)


class ReadinessCase(SynchronousTestCase):
    """
    A test case with an archive whose examinations the test controls.
    """

    interfaces: tuple[Any, ...] = (IProbedArchive, IDiskReporter)

    def setUp(self) -> None:
        """
        Start with an archive that can be written.
        """
        self.clock = Clock()
        self.status = ArchiveStatus()
        self.changes: list[bool] = []
        self.runs = 0
        self.outcome: Deferred[Finding] = succeed(WELL)
        self.listeners: list[tuple[Any, tuple[Any, ...]]] = []
        archive: Any = FakeArchive(*self.interfaces)
        self.readiness = WriteReadiness(
            self.clock,
            archive,
            self.status,
            lambda: self.changes.append(not self.status.write_problem),
            self.run_in_thread,
            1000,
        )
        registry: Any = SimpleNamespace(subscribe=lambda listener, *kinds: self.listeners.append((listener, kinds)))
        self.events = self.enterContext(capturedLogs())
        self.readiness.start(registry)

    def run_in_thread(self, call: Any) -> "Deferred[Finding]":
        """
        Make an examination.
        """
        self.runs += 1
        return self.outcome

    def wait(self, seconds: float, outcome: "Deferred[Finding] | Finding" = WELL) -> None:
        """
        Let time pass.

        Args:
            outcome: what the next examinations come to.
        """
        self.outcome = succeed(outcome) if isinstance(outcome, Finding) else outcome
        self.clock.advance(seconds)

    def publish(self, event: Any) -> None:
        """
        Publish an event of the registry.
        """
        for listener, kinds in self.listeners:
            if isinstance(event, kinds):
                listener(event)

    def fail_write(self, error: Any) -> None:
        """
        Publish that a write has failed.
        """
        self.publish(StorageFailed("create version", "m", error))

    def logged(self) -> list[tuple[LogLevel, str]]:
        """
        Return what was logged.
        """
        return [(event["log_level"], formatEvent(event)) for event in self.events]


class ProbedTests(ReadinessCase):
    """
    An archive that can be probed.
    """

    def test_well(self) -> None:
        """
        It is examined at the start and periodically, and nothing is reported.
        """
        for runs in (1, 2, 3):
            self.assertEqual((self.runs, self.changes, self.logged()), (runs, [], []))
            self.wait(INTERVAL_SECONDS)

    def test_problem_and_its_end(self) -> None:
        """
        Status, health and log are updated once when writes fail, with the reason, and once when they succeed again.
        """
        self.wait(INTERVAL_SECONDS, READ_ONLY)
        for _ in range(3):
            self.wait(RECOVERY_SECONDS, READ_ONLY)
        problem = "the archive cannot be written: Read-only file system"
        self.assertEqual((self.status.write_problem, self.status.problem, self.changes), (problem, "", [False]))
        self.wait(RECOVERY_SECONDS)
        self.assertEqual((self.status.write_problem, self.changes, self.runs), ("", [False, True], 6))
        (failed, again) = self.logged()
        self.assertEqual((failed[0], again[0]), (LogLevel.error, LogLevel.info))
        for part in ("/archive", problem, "NOT_SERVING", "reading goes on"):
            self.assertIn(part, failed[1])
        self.assertIn("can be stored again in /archive", again[1])

    def test_little_space(self) -> None:
        """
        Too little space is a problem too, for as long as it lasts.
        """
        self.wait(INTERVAL_SECONDS, Finding(space=(999, 10**6)))
        self.assertIn("--min-free-bytes", self.status.write_problem)
        self.wait(RECOVERY_SECONDS, Finding("Read-only file system", (999, 10**6)))
        self.assertIn("Read-only", self.status.write_problem)
        self.wait(RECOVERY_SECONDS, Finding(space=(5000, 10**6)))
        self.assertEqual((self.status.write_problem, self.changes), ("", [False, True]))

    def test_write_failed(self) -> None:
        """
        A failed write causes a probe at once, but not more than one a second.
        """
        self.clock.advance(PAUSE_SECONDS)
        self.outcome = succeed(READ_ONLY)
        self.fail_write(StorageReadOnly("Read-only file system"))
        self.clock.advance(0)
        self.assertEqual((self.runs, self.changes), (2, [False]))

    def test_many_writes_fail(self) -> None:
        """
        While probes succeed, any number of failed writes causes one probe a second.
        """
        self.clock.advance(PAUSE_SECONDS)
        for _ in range(50):
            self.fail_write(StorageFull("No space left on device", "9437184 bytes are needed"))
            self.clock.advance(0)
        self.assertEqual(self.runs, 2)
        self.clock.advance(PAUSE_SECONDS)
        self.assertEqual((self.runs, self.changes), (3, []))

    def test_write_failed_during_a_probe(self) -> None:
        """
        A write that fails while a probe runs causes another one, because that one may have begun before.
        """
        running: Deferred[Finding] = Deferred()
        self.wait(INTERVAL_SECONDS, running)
        self.fail_write(StorageReadOnly("Read-only file system"))
        self.assertEqual(self.runs, 2)
        running.callback(WELL)
        self.wait(PAUSE_SECONDS, READ_ONLY)
        self.assertEqual((self.runs, self.changes), (3, [False]))

    def test_read_failed(self) -> None:
        """
        A change that failed because something could not be read causes no probe.
        """
        self.clock.advance(PAUSE_SECONDS)
        self.fail_write(StorageUnavailable("Stale file handle"))
        self.clock.advance(PAUSE_SECONDS)
        self.assertEqual((self.runs, self.changes), (1, []))

    def test_archive_cannot_be_used(self) -> None:
        """
        Nothing is written to an archive that cannot be used, until it can.
        """
        self.status.problem = "nothing is at its path"
        self.fail_write(StorageFailure("EIO"))
        for _ in range(3):
            self.wait(INTERVAL_SECONDS, READ_ONLY)
        self.assertEqual((self.runs, self.changes), (1, []))
        self.status.problem = ""
        self.wait(INTERVAL_SECONDS, READ_ONLY)
        self.assertEqual((self.runs, self.changes), (2, [False]))

    def test_hangs(self) -> None:
        """
        A probe that hangs is a problem after the timeout; there is no second one before it has ended.
        """
        hanging: Deferred[Finding] = Deferred()
        self.wait(INTERVAL_SECONDS, hanging)
        self.clock.advance(TIMEOUT_SECONDS - 1)
        self.assertEqual(self.changes, [])
        self.clock.advance(1)
        self.assertEqual(self.changes, [False])
        self.assertIn("not answered for 30 s", self.status.write_problem)
        self.clock.pump([INTERVAL_SECONDS] * 4)
        self.assertEqual(self.runs, 2)
        hanging.callback(WELL)
        self.assertEqual(self.changes, [False, True])
        self.wait(INTERVAL_SECONDS)
        self.assertEqual(self.runs, 3)

    def test_bug(self) -> None:
        """
        An unexpected error is a problem, and the log has the traceback.
        """
        self.wait(INTERVAL_SECONDS, fail(ZeroDivisionError()))
        self.assertEqual(self.changes, [False])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.wait(RECOVERY_SECONDS)
        self.assertEqual(self.changes, [False, True])

    def test_stopped(self) -> None:
        """
        After a stop nothing is examined.
        """
        self.successResultOf(self.readiness.stop())
        self.fail_write(StorageReadOnly("Read-only file system"))
        self.clock.advance(INTERVAL_SECONDS)
        self.assertEqual((self.runs, self.changes, self.clock.getDelayedCalls()), (1, [], []))

    def test_stopped_during_a_probe(self) -> None:
        """
        A stop waits for the running probe, and ignores what it finds.
        """
        running: Deferred[Finding] = Deferred()
        self.wait(INTERVAL_SECONDS, running)
        stopped = self.readiness.stop()
        self.assertNoResult(stopped)
        running.callback(READ_ONLY)
        self.successResultOf(stopped)
        self.assertEqual((self.changes, self.clock.getDelayedCalls()), ([], []))


class UnprobedTests(ReadinessCase):
    """
    An archive that cannot be probed.
    """

    interfaces = ()

    def commit(self, *, archived: bool) -> None:
        """
        Publish that a version was committed.
        """
        info: Any = SimpleNamespace(archived=archived)
        key: Any = None
        self.publish(VersionCommitted(key, info))

    def test_not_examined(self) -> None:
        """
        There is nothing to examine.
        """
        self.clock.advance(INTERVAL_SECONDS)
        self.assertEqual((self.runs, self.clock.getDelayedCalls()), (0, []))

    def test_until_none_fails(self) -> None:
        """
        Writes are not possible until none has failed for a minute.
        """
        self.fail_write(StorageFull("quota"))
        self.clock.advance(FAILED_SECONDS - 1)
        self.fail_write(StorageFull("quota"))
        self.clock.advance(FAILED_SECONDS - 1)
        self.assertEqual((self.status.write_problem, self.changes), ("the archive cannot be written: quota", [False]))
        self.clock.advance(1)
        self.assertEqual((self.status.write_problem, self.changes), ("", [False, True]))

    def test_until_one_succeeds(self) -> None:
        """
        A write that succeeds ends it at once; a transient version writes nothing.
        """
        self.fail_write(StorageFailure("EIO"))
        self.commit(archived=False)
        self.assertEqual(self.changes, [False])
        self.commit(archived=True)
        self.assertEqual(self.changes, [False, True])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.commit(archived=True)
        self.assertEqual(self.changes, [False, True])

    def test_stopped(self) -> None:
        """
        After a stop, failures do not count.
        """
        self.fail_write(StorageFailure("EIO"))
        self.successResultOf(self.readiness.stop())
        self.fail_write(StorageFailure("EIO"))
        self.assertEqual((self.changes, self.clock.getDelayedCalls()), ([False], []))


class SubscriptionTests(SynchronousTestCase):
    """
    The events that the readiness is notified of.
    """

    def test_no_commits(self) -> None:
        """
        With an archive that can be probed, nothing is called when a version is committed.
        """
        kinds: list[Any] = []
        archive: Any = FakeArchive(IProbedArchive)
        readiness = WriteReadiness(Clock(), archive, ArchiveStatus(), lambda: None, lambda call: succeed(WELL))
        registry: Any = SimpleNamespace(subscribe=lambda listener, *each: kinds.extend(each))
        readiness.start(registry)
        self.assertEqual(kinds, [StorageFailed])
        archive = FakeArchive()
        WriteReadiness(Clock(), archive, ArchiveStatus(), lambda: None, lambda call: succeed(WELL)).start(registry)
        self.assertIn(VersionCommitted, kinds)
        self.assertIn(ModelSaved, kinds)


class DiskSpaceTests(SynchronousTestCase):
    """
    The limit on free space.
    """

    def setUp(self) -> None:
        """
        Set a limit of 1,000 bytes.
        """
        self.clock = Clock()
        self.space = DiskSpace("/archive", 1000, self.clock.seconds)
        self.events = self.enterContext(capturedLogs())

    def test_limit(self) -> None:
        """
        Below the limit there is a problem, until a tenth more than the limit is free.
        """
        found = [bool(self.space.problem(free, 10**9)) for free in (5000, 1000, 999, 1000, 1099, 1100, 1000, 0)]
        self.assertEqual(found, [False, False, True, True, True, False, False, True])

    def test_text(self) -> None:
        """
        The problem has both sizes and what to do.
        """
        space = DiskSpace("/archive", 2**30, self.clock.seconds)
        self.assertEqual(
            space.problem(300 * 2**20, 10**12),
            "the archive's disk has 300.0 MiB left, and --min-free-bytes is 1,024.0 MiB: free some space",
        )

    def test_default(self) -> None:
        """
        The default is 1 GiB, or a twentieth of a smaller disk.
        """
        space = DiskSpace("/archive", None, self.clock.seconds)
        for size, limit in ((10**12, 2**30), (20 * 2**30, 2**30), (8 * 2**20, 8 * 2**20 // 20)):
            self.assertEqual(space.problem(2 * limit, size), "")
            self.assertTrue(space.problem(limit - 1, size))
            self.assertEqual(space.problem(2 * limit, size), "")

    def test_switched_off(self) -> None:
        """
        With 0, a full disk is neither a problem nor worth a warning.
        """
        space = DiskSpace("/archive", 0, self.clock.seconds)
        self.assertEqual(space.problem(0, 10**9), "")
        self.assertEqual(self.events, [])

    def test_warning(self) -> None:
        """
        At twice the limit there is a warning, and the next one after an hour.
        """
        self.space.problem(2000, 10**9)
        self.assertEqual(self.events, [])
        for free in (1999, 1500, 5000, 1500):
            self.assertEqual(self.space.problem(free, 10**9), "")
        (event,) = self.events
        self.assertEqual(event["log_level"], LogLevel.warn)
        for part in ("/archive", "--min-free-bytes", "NOT_SERVING"):
            self.assertIn(part, formatEvent(event))
        self.clock.advance(WARN_SECONDS)
        self.space.problem(1500, 10**9)
        self.assertEqual(len(self.events), 2)
