"""
The claim to an archive, between machines that do not share locks.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from attrs import evolve
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.support.faulty_system import FaultySystem, failing_where
from twisted_registry.contracts.ownership import IOwnedArchive
from twisted_registry.domain.errors import ArchiveTaken, CannotStart, StorageFailure
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.claim import ClaimTimes
from twisted_registry.storage.filesystem.claim_mark import (
    MARK_BYTES,
    Mark,
    Process,
    format_mark,
    has_ended,
    parse_mark,
    this_process,
)
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.verify.findings import CannotVerify
from twisted_registry.storage.filesystem.verify.quarantine import locked


class MarkTests(SynchronousTestCase):
    """
    The content of the file.
    """

    def test_what_is_written_is_read(self) -> None:
        """
        A mark is read as it was written, and all marks have the same length.
        """
        mark = Mark("0" * 32, Process("host", 2**22, "boot", "pid:[1]", "17"), 2**31, 2**40)
        for each in (mark, Mark(), evolve(mark, process=this_process())):
            content = format_mark(each)
            self.assertEqual((parse_mark(content), len(content)), (each, MARK_BYTES))
        long = evolve(mark, process=evolve(mark.process, host="\N{SNOWMAN}" * 10_000))
        self.assertEqual(len(format_mark(long)), MARK_BYTES)

    def test_nobody(self) -> None:
        """
        An empty file is a mark without an owner.
        """
        self.assertEqual(parse_mark(b""), Mark())

    def test_malformed(self) -> None:
        """
        Anything else is refused.
        """
        mark = Mark("o", Process("h", 1), 1, 1)
        content = format_mark(mark)
        for wrong in (
            b"x",
            b"{}",
            b"null",
            b"[" * 100_000,
            b"\xff",
            content[:40],
            content.replace(b'"count": 1', b'"count": "1"'),
            content.replace(b'"pid": 1', b'"pid": null'),
            content.replace(b'"count"', b'"counter"'),
        ):
            self.assertRaises(Malformed, parse_mark, wrong)


class ProcessTests(SynchronousTestCase):
    """
    The identity of a process, and whether it has ended.
    """

    def test_running(self) -> None:
        """
        This process has not ended; one with its id and another start time has.
        """
        this = this_process()
        self.assertEqual(this.pid, os.getpid())
        self.assertFalse(has_ended(this, this))
        if this.started:
            self.assertTrue(has_ended(evolve(this, started="1"), this))

    def test_out_of_sight(self) -> None:
        """
        Nothing is certain about a process on another machine, in another container, or on a system without these
        facts.
        """
        this = evolve(this_process(), boot="b", namespace="n", started="s")
        gone = evolve(this, pid=2**22 + 1)
        self.assertTrue(has_ended(gone, this))
        for value in ("other", ""):
            self.assertFalse(has_ended(evolve(gone, boot=value), this))
            self.assertFalse(has_ended(evolve(gone, namespace=value), this))
        self.assertFalse(has_ended(evolve(gone, started=""), this))


class Machine(FaultySystem):
    """
    The operating system of one of two machines that share a folder but no locks.

    Attributes:
        device: the number of the file system on this machine.
        locks_bytes: whether locks on files reach the other machine.
    """

    device = 1
    locks_bytes = False

    def is_local(self, descriptor: int) -> bool:
        """
        Return that others can use the file system too.
        """
        return False

    def flock(self, descriptor: int) -> None:
        """
        Lock nothing.
        """

    def lock_byte(self, descriptor: int, position: int) -> None:
        """
        Lock a byte, if locks reach the other machine.
        """
        if self.locks_bytes:
            super().lock_byte(descriptor, position)

    def fstat(self, descriptor: int) -> os.stat_result:
        """
        Return the status of an open file, with this machine's device number.
        """
        return self._numbered(super().fstat(descriptor))

    def stat(self, path: str) -> os.stat_result:
        """
        Return the status of a path, with this machine's device number.
        """
        return self._numbered(super().stat(path))

    def _numbered(self, status: os.stat_result) -> os.stat_result:
        return os.stat_result((*status[:2], self.device, *status[3:]))


class ClaimCase(SynchronousTestCase):
    """
    Two machines that share a folder.

    Attributes:
        now: the time on both machines.
        meanwhile: a callback that runs while one of them sleeps.
    """

    def setUp(self) -> None:
        """
        Let one of them own the archive.
        """
        self.now = 0.0
        self.slept = 0.0
        self.meanwhile: Callable[[], object] = lambda: None
        self.root = Path(self.mktemp()).absolute()
        self.times = ClaimTimes(seconds=lambda: self.now, sleep=self.sleep)
        self.first = self.make("first", 11)
        self.first.open()
        self.events = self.enterContext(capturedLogs())

    def make(self, host: str, pid: int, **process: str) -> FilesystemArchive:
        """
        Create the archive as a machine sees it.
        """
        machine = Machine(str(self.root))
        self.addCleanup(machine.close_all)
        archive = FilesystemArchive(str(self.root), machine, self.times)
        archive._claim._get_process = lambda: Process(host, pid, **process)
        return archive

    def machine_of(self, archive: FilesystemArchive) -> Machine:
        """
        Return the machine of an archive.
        """
        machine = archive._system
        assert isinstance(machine, Machine)
        return machine

    def sleep(self, seconds: float) -> None:
        """
        Advance the time.
        """
        self.now += seconds
        self.slept += seconds
        self.meanwhile()

    def lines(self, level: LogLevel = LogLevel.warn) -> list[str]:
        """
        Return the lines logged so far.
        """
        return [formatEvent(event) for event in self.events if event["log_level"] is level]

    def mark(self) -> Mark:
        """
        Return the current mark.
        """
        return parse_mark((self.root / ".0" / "claim").read_bytes())


class TakeTests(ClaimCase):
    """
    The other machine wants the archive.
    """

    def test_alive(self) -> None:
        """
        While the mark is renewed, the archive is refused as soon as that is seen, with a line that names host and
        process, and nothing in it is touched.
        """
        (self.root / ".0" / "tmp" / "file").write_bytes(b"")
        self.meanwhile = self.first.renew
        error = self.assertRaises(CannotStart, self.make("second", 22).open)
        for part in (str(self.root), "'first'", "process 11", "stop that one"):
            self.assertIn(part, str(error))
        self.assertNotIn("\n", str(error))
        self.assertLessEqual(self.slept, self.times.poll_seconds)
        self.assertTrue((self.root / ".0" / "tmp" / "file").exists())
        self.first.renew()
        self.first.save_model(ModelInfo("m"))

    def test_renewed_late(self) -> None:
        """
        A mark that is renewed at the last moment counts as renewed.
        """

        def renew_late() -> None:
            if self.slept > self.times.watch_seconds - 2 * self.times.poll_seconds:
                self.first.renew()

        self.meanwhile = renew_late
        self.assertRaises(CannotStart, self.make("second", 22).open)

    def test_unchanged(self) -> None:
        """
        A mark that does not change for longer than two renewals is taken over, with a line that names its owner.
        """
        second = self.make("second", 22)
        second.open()
        self.assertGreater(self.slept, 2 * self.times.renew_seconds)
        self.assertEqual(self.mark().process.host, "second")
        self.assertIn("watching it", self.lines()[0])
        self.assertIn("'first'", self.lines()[1])

    def test_stopped(self) -> None:
        """
        After a clean stop there is no wait.
        """
        self.first.close()
        self.make("second", 22).open()
        self.assertEqual((self.slept, self.lines()), (0, []))

    def test_stops_meanwhile(self) -> None:
        """
        If the other daemon stops while its mark is watched, the wait ends.
        """
        self.meanwhile = self.first.close
        self.make("second", 22).open()
        self.assertLess(self.slept, 3 * self.times.poll_seconds)

    def test_locked(self) -> None:
        """
        If locks on files reach the other machine, the line names the owner, and there is no wait.
        """
        self.first.close()
        for archive in (self.first, second := self.make("second", 22)):
            self.machine_of(archive).locks_bytes = True
        self.first.open()
        self.assertIn("'first', process 11", str(self.assertRaises(CannotStart, second.open)))
        self.assertEqual(self.slept, 0)

    def test_no_locks_on_files(self) -> None:
        """
        If files cannot be locked, only the mark decides.
        """
        second = self.make("second", 22)
        self.machine_of(second).locks_bytes = True
        self.machine_of(second).disturbance = failing_where("lock_byte .*", errno.ENOLCK)
        second.open()
        self.assertGreater(self.slept, 0)

    def test_two_at_once(self) -> None:
        """
        If two machines take over one mark, the last one to write owns the archive.
        """
        third = self.make("third", 33)

        def overtake() -> None:
            if self.mark().process.host == "second":
                self.meanwhile = lambda: None
                (self.root / ".0" / "claim").write_bytes(format_mark(Mark("third", Process("third", 33))))

        self.meanwhile = overtake
        self.assertIn("'third'", str(self.assertRaises(CannotStart, self.make("second", 22).open)))
        del third

    def test_not_a_mark(self) -> None:
        """
        Invalid content may be a mark half written: it is watched too, and replaced.
        """
        (self.root / ".0" / "claim").write_bytes(b"garbage")
        self.make("second", 22).open()
        self.assertGreater(self.slept, self.times.renew_seconds)
        self.assertEqual(self.mark().process.host, "second")

    def test_killed_on_the_same_machine(self) -> None:
        """
        On the machine of a killed daemon there is no wait: its lock is free, or its process has visibly ended.
        """
        boot = {"boot": "b", "namespace": "n", "started": "1"}
        self.first.close()
        for device, killed in ((1, {**boot, "namespace": "other"}), (2, boot)):
            self.first = self.make("first", 2**22 + 1, **killed)
            self.first.open()
            self.machine_of(self.first).close_all()
            second = self.make("first", 22, **boot)
            self.machine_of(second).device = device
            second.open()
            self.assertEqual(self.slept, 0)
            second.close()

    def test_another_mount_on_the_same_machine(self) -> None:
        """
        Two mounts of one folder have two locks, so a daemon on the other mount is noticed by its mark.
        """
        self.first.close()
        process = this_process()
        self.first = self.make("first", process.pid, boot="b", namespace="n", started=process.started)
        self.first.open()
        second = self.make("first", 22, boot="b", namespace="n")
        self.machine_of(second).device = 2
        self.meanwhile = self.first.renew
        self.assertRaises(CannotStart, second.open)

    def test_clocks_differ(self) -> None:
        """
        Clocks are not compared: a clock that is decades off changes nothing.
        """
        second = self.make("second", 22)
        second._claim.times = evolve(self.times, seconds=lambda: self.now - 10**9)
        self.meanwhile = self.first.renew
        self.assertRaises(CannotStart, second.open)

    def test_quarantine(self) -> None:
        """
        A command that changes the archive without a daemon claims it too.
        """
        self.first.close()
        with locked(str(self.root)):
            owner = self.mark().owner
            self.assertTrue(owner)
        self.assertEqual(self.mark(), Mark())
        first = FilesystemArchive(str(self.root))
        first.open()
        self.addCleanup(first.close)

        def hold() -> None:
            with locked(str(self.root)):
                pass

        self.assertRaises(CannotVerify, hold)

    def test_unclear(self) -> None:
        """
        If the mark cannot be opened or read now, the archive is not taken.
        """
        before = self.mark()
        for pattern in ("create .0/claim", "open .0/claim", "read .0/claim"):
            for number in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE):
                second = self.make("second", 22)
                self.machine_of(second).disturbance = failing_where(pattern, number)
                self.assertIn(os.strerror(number), str(self.assertRaises(CannotStart, second.open)))
                self.assertEqual(self.mark(), before)
                self.assertEqual(self.machine_of(second).descriptors, {})

    def test_cannot_be_claimed(self) -> None:
        """
        A read-only archive is opened without a claim.
        """
        second = self.make("second", 22)
        self.machine_of(second).disturbance = failing_where("(create|write_at|mkdir|rename|write) .*", errno.EROFS)
        second.open()
        self.assertEqual(second.model_ids(), [])
        second.renew()
        second.check()
        second.close()
        self.assertEqual(self.mark().process.host, "first")


class KeepTests(ClaimCase):
    """
    The owner keeps the archive, or notices that it was taken.
    """

    def take_over(self) -> FilesystemArchive:
        """
        Let the other machine take the archive.
        """
        second = self.make("second", 22)
        second.open()
        return second

    def test_interface(self) -> None:
        """
        The archive says how often its claim must be renewed.
        """
        verifyObject(IOwnedArchive, self.first)
        self.assertEqual(self.first.renew_seconds, self.times.renew_seconds)

    def test_renewed(self) -> None:
        """
        Each renewal changes the mark, is synced, and renames nothing.
        """
        seen = {self.mark().count}
        system = self.machine_of(self.first)
        system.calls.clear()
        for _ in range(3):
            self.first.renew()
            seen.add(self.mark().count)
        self.assertEqual(len(seen), 4)
        self.assertEqual(system.changes(), ["write_at .0/claim", "sync_data .0/claim"] * 3)

    def test_taken(self) -> None:
        """
        A daemon that finds another mark has lost the archive: it names the new owner and stores nothing more.
        """
        second = self.take_over()
        self.assertIn("'second', process 22", str(self.assertRaises(ArchiveTaken, self.first.renew)))
        self.assertRaises(ArchiveTaken, self.first.renew)
        for act in (
            lambda: self.first.save_model(ModelInfo("m")),
            lambda: self.first.set_high_water_mark("m", 7),
            lambda: self.first.delete_model("m"),
        ):
            second.save_model(ModelInfo("m"))
            self.assertIn("another daemon", self.assertRaises(StorageFailure, act).reason)
        second.renew()
        self.first.close()
        second.renew()
        self.assertEqual(self.mark().process.host, "second")

    def test_overdue(self) -> None:
        """
        A daemon whose renewal is overdue checks the mark before it stores anything.
        """
        self.take_over()
        error = self.assertRaises(StorageFailure, self.first.save_model, ModelInfo("m"))
        self.assertIn("another daemon", error.reason)
        self.assertFalse((self.root / "m").exists())

    def test_in_time(self) -> None:
        """
        While the mark is renewed in time, a change makes no further system calls.
        """
        self.now += self.times.recheck_seconds / 2
        system = self.machine_of(self.first)
        system.calls.clear()
        self.first.check()
        self.assertEqual(system.calls, ["stat ."])
        self.now += self.times.recheck_seconds / 2
        count = self.mark().count
        self.first.check()
        self.assertIn("open .0/claim", system.calls)
        self.assertGreater(self.mark().count, count)
        system.calls.clear()
        self.first.check()
        self.assertEqual(system.calls, ["stat ."])

    def test_cannot_be_read(self) -> None:
        """
        If the mark cannot be read, nothing is stored once the renewal is overdue.
        """
        self.machine_of(self.first).disturbance = failing_where("open .0/claim", errno.EIO)
        self.assertRaises(StorageFailure, self.first.renew)
        self.now += self.times.recheck_seconds
        self.assertRaises(StorageFailure, self.first.save_model, ModelInfo("m"))
        self.machine_of(self.first).disturbance = None
        self.first.save_model(ModelInfo("m"))

    def test_cannot_be_written(self) -> None:
        """
        If the mark cannot be written, this is logged once, and everything else continues.
        """
        self.machine_of(self.first).disturbance = failing_where("(write_at|sync_data) .*", errno.ENOSPC)
        for _ in range(3):
            self.first.renew()
        (line,) = self.lines()
        self.assertIn(os.strerror(errno.ENOSPC), line)
        self.first.save_model(ModelInfo("m"))

    def test_removed(self) -> None:
        """
        If somebody removes the file or the whole private folder, it is created again.
        """
        for names in (["claim"], ["claim", "identity"]):
            for name in names:
                (self.root / ".0" / name).unlink()
            if len(names) > 1:
                for name in ("tmp", "trash", ""):
                    (self.root / ".0" / name).rmdir()
            self.first.renew()
            self.assertEqual(self.mark().process.host, "first")
            self.meanwhile = self.first.renew
            self.assertRaises(CannotStart, self.make("second", 22).open)
