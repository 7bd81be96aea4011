"""
Tests of folders of backups, and of restores: what is complete, what is kept, and what an interruption leaves.
"""

import errno
from pathlib import Path

from tests.support.backups import back_up, opened_copy
from tests.support.damage import findings
from tests.support.faulty_system import FaultySystem, Killed
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.errors import CannotStart
from twisted_registry.domain.models import ModelInfo
from twisted_registry.domain.retention import RetentionPolicy
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.backup.backups import Backups, newest_backup
from twisted_registry.storage.filesystem.backup.copy import ArchiveCopy
from twisted_registry.storage.filesystem.backup.restore import Restore, keep_numbers, prepare_root
from twisted_registry.storage.filesystem.backup.target import CannotCopy
from twisted_registry.storage.filesystem.number_raiser import NumberRaiser
from twisted_registry.storage.filesystem.verify.findings import CannotVerify
from twisted_registry.testing.archive_lifecycle import remove_all
from twisted_registry.testing.samples import data_of, put

DAY = 86400.0


class BackupsCase(FilesystemCase):
    """
    An archive with a model of three versions, and a folder for backups.
    """

    def setUp(self) -> None:
        """
        Fill the archive.
        """
        super().setUp()
        self.target = self.root.with_name("backups")
        self.restored = self.root.with_name("restored")
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 2, 3):
            put(self.archive, "m", number, b"data %d" % number)

    def names(self) -> list[str]:
        """
        Return the names in the folder of backups, without the lock.
        """
        return sorted(path.name for path in self.target.iterdir() if path.name != ".lock")

    def killed_after(self, calls: int) -> FaultySystem:
        """
        Return a system whose process dies before a later one of its calls.
        """
        system, left = FaultySystem(str(self.target)), [calls]

        def die(call: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        system.disturbance = die
        self.addCleanup(system.close_all)
        return system


class FolderTests(BackupsCase):
    """
    A folder with several backups.
    """

    def test_names(self) -> None:
        """
        A backup has the time when it began as its name; a second one in the same second has a number.
        """
        for _ in range(11):
            back_up(self.root, self.target)
        with Backups(str(self.target)) as backups:
            names = [backup.name for backup in backups.complete()]
        self.assertEqual(names[:2] + names[-1:], ["19700101T000000Z", "19700101T000000Z-2", "19700101T000000Z-11"])
        self.assertEqual(newest_backup(str(self.target)), str(self.target / names[-1]))

    def test_older_are_removed(self) -> None:
        """
        Only the newest are kept, and the one that was just made even if the clock was set back.
        """
        for day in (3, 4, 5, 2):
            made, _, _ = back_up(self.root, self.target, seconds=day * DAY)
        with Backups(str(self.target)) as backups:
            self.assertEqual(len(list(backups.remove_older(made.name, 2))), 2)
        self.assertEqual(self.names(), ["19700103T000000Z", "19700106T000000Z"])
        self.assertEqual([findings(self.target / name) for name in self.names()], [[], []])

    def test_half_removed(self) -> None:
        """
        A backup whose removal was interrupted is not complete, and the next one removes the rest.
        """
        for day in (1, 2):
            back_up(self.root, self.target, seconds=day * DAY)
        system = FaultySystem(str(self.target))

        def fail(call: str) -> None:
            if call.startswith("unlink ") and call.endswith("000002.data"):
                raise OSError(errno.EIO, "")

        system.disturbance = fail
        with Backups(str(self.target), system) as backups:
            self.assertRaises(CannotCopy, list, backups.remove_older("", 1))
            self.assertEqual([backup.name for backup in backups.complete()], ["19700103T000000Z"])
        back_up(self.root, self.target, seconds=3 * DAY)
        self.assertEqual(self.names(), ["19700103T000000Z", "19700104T000000Z"])

    def test_one_at_a_time(self) -> None:
        """
        While a backup is being made, no other begins in the same folder.
        """
        self.target.mkdir()
        with Backups(str(self.target)) as first, Backups(str(self.target)) as second:
            first.start()
            error = self.assertRaises(CannotCopy, second.start)
        self.assertIn("another backup", str(error))

    def test_no_locks(self) -> None:
        """
        On a file system without locks, backups are made.
        """
        system = FaultySystem(str(self.target))

        def fail(call: str) -> None:
            if call.startswith("flock "):
                raise OSError(errno.ENOLCK, "")

        system.disturbance = fail
        backup, _, _ = back_up(self.root, self.target, system)
        self.assertEqual(findings(backup), [])

    def test_in_the_archive(self) -> None:
        """
        The archive itself, a folder in it, and a link to one are refused.
        """
        inside, link = self.root / "inside", self.root.with_name("link")
        inside.mkdir()
        link.symlink_to(inside)
        with ArchiveCopy(str(self.root), jobs=1) as copy:
            for path in (self.root, inside, link):
                with Backups(str(path)) as backups:
                    error = self.assertRaises(CannotCopy, backups.check_apart, copy.root)
                    self.assertIn("is in the archive", str(error))
            with Backups(str(self.root.parent)) as backups:
                backups.check_apart(copy.root)

    def test_space(self) -> None:
        """
        The size of what is to be copied is known before, and a disk that is too small is refused.
        """
        back_up(self.root, self.target)
        put(self.archive, "m", 4, b"12345")
        with ArchiveCopy(str(self.root), jobs=1) as copy, Backups(str(self.target)) as backups:
            begun = backups.start()
            self.assertEqual((copy.measure(()), copy.measure(begun.earlier)), (23, 5))
            self.assertRaises(CannotCopy, backups.check_space, 2**62)

    def test_full(self) -> None:
        """
        If the disk of the backups fills up at any call, there is no backup, and the next one is complete.
        """
        step, done = 1, False
        while not done:
            system, left = FaultySystem(str(self.target)), [step]

            def fail(call: str, left: list[int] = left) -> None:
                if call.split(maxsplit=1)[0] in ("create", "write", "mkdir", "link", "rename"):
                    left[0] -= 1
                    if left[0] < 0:
                        raise OSError(errno.ENOSPC, "")

            system.disturbance = fail
            try:
                back_up(self.root, self.target, system)
                done = True
            except CannotCopy as error:
                self.assertIn("No space left on device", str(error))
                self.assertTrue(all(name.startswith(".") for name in self.names()))
            step += 5
        self.assertGreater(step, 10)
        self.assertEqual([findings(self.target / name) for name in self.names()], [[]])


class InterruptionTests(BackupsCase):
    """
    Backups and restores that are killed.
    """

    def test_backup(self) -> None:
        """
        A backup that is killed at any call never looks complete, and the next one uses what it has.
        """
        calls = 0
        for calls in range(0, 10**6, 23):
            system = self.killed_after(calls)
            try:
                back_up(self.root, self.target, system)
                break
            except Killed:
                system.close_all()
                with Backups(str(self.target)) as backups:
                    for backup in backups.complete():
                        self.assertEqual(findings(self.target / backup.name), [])
        self.assertGreater(calls, 50)
        with Backups(str(self.target)) as backups:
            self.assertTrue(all(findings(self.target / backup.name) == [] for backup in backups.complete()))
        self.assertFalse(any(name.startswith(".") for name in self.names()))

    def test_next_uses_it(self) -> None:
        """
        The next backup uses the files that an interrupted one has copied, without what was deleted since.
        """
        self.archive.save_model(ModelInfo("a"))
        self.archive.save_annotations("m", 2, Annotations({"good": "yes"}, {}))
        self.archive.save_retention_prefix("team/", RetentionPolicy(keep_last=3))
        system = FaultySystem(str(self.target))

        def die(call: str) -> None:
            if "m-v000003.data" in call and call.startswith("create "):
                raise Killed

        system.disturbance = die
        self.addCleanup(system.close_all)
        self.assertRaises(Killed, back_up, self.root, self.target, system)
        system.close_all()
        self.archive.delete_model("a")
        self.archive.delete_version("m", 1)
        self.archive.save_annotations("m", 2, Annotations({}, {}))
        self.archive.save_retention_prefix("team/", None)
        remove_all(self.archive)
        backup, found, counts = back_up(self.root, self.target)
        self.assertEqual((found, findings(backup), counts.size_bytes, counts.new_bytes), ([], [], 12, 6))
        copy = opened_copy(backup, self.restored)
        self.addCleanup(copy.close)
        self.assertEqual((copy.model_ids(), copy.version_numbers("m")), (["m"], [2, 3]))
        self.assertEqual((copy.load_annotations("m", [2]), copy.retention_prefixes()), ([Annotations({}, {})], {}))

    def test_restore(self) -> None:
        """
        A restore that is killed at any call goes on, and no daemon opens the archive before its numbers are raised.
        """
        backup, _, _ = back_up(self.root, self.target)
        prepare_root(str(self.restored))
        calls = 0
        for calls in range(0, 10**6, 23):
            system = self.killed_after(calls)
            restore = Restore(str(backup), str(self.restored), jobs=1, system=system)
            try:
                with restore.copy:
                    self.assertEqual(list(restore.run()), [])
                break
            except Killed:
                system.close_all()
                if (self.restored / "m").exists():
                    self.assertRaises(CannotStart, self.opened)
                if b'"is_complete":false' in self.mark():
                    error = self.assertRaises(CannotVerify, list, NumberRaiser(str(self.restored)).run())
                    self.assertIn("interrupted", str(error))
        self.assertGreater(calls, 50)
        self.assertIn("is a backup", str(self.assertRaises(CannotStart, self.opened)))
        self.assertEqual([each.after for each in NumberRaiser(str(self.restored)).run()], [1_000_003])
        archive = self.opened()
        self.assertEqual([data_of(archive, "m", number) for number in (1, 2, 3)], [b"data 1", b"data 2", b"data 3"])

    def mark(self) -> bytes:
        """
        Return the mark of the restored archive; nothing if there is none.
        """
        path = self.restored / ".0" / "backup"
        return path.read_bytes() if path.exists() else b""

    def opened(self) -> FilesystemArchive:
        """
        Open the restored archive.
        """
        archive = FilesystemArchive(str(self.restored))
        archive.open()
        self.addCleanup(archive.close)
        return archive


class RestoreTests(BackupsCase):
    """
    Restores that are refused, and those of copies.
    """

    def refused(self, backup: Path) -> str:
        """
        Return why a backup is not restored.
        """
        prepare_root(str(self.restored))
        restore = Restore(str(backup), str(self.restored), jobs=1)
        with restore.copy:
            return str(self.assertRaises(CannotCopy, list, restore.run()))

    def test_refused(self) -> None:
        """
        Anything but a complete backup is refused, and nothing is restored over something else.
        """
        backup, _, _ = back_up(self.root, self.target)
        other, _, _ = back_up(self.root, self.target, seconds=DAY)
        self.assertIn("is not a complete backup", self.refused(self.root))
        self.restored.rmdir()
        self.assertIn("is not empty", self.refused_into(self.root, backup))
        restore = Restore(str(backup), str(self.restored), jobs=1)
        prepare_root(str(self.restored))
        with restore.copy:
            self.assertEqual(list(restore.run()), [])
        self.assertIn("another backup", self.refused(other))
        self.assertRaises(CannotCopy, newest_backup, str(self.root.parent))

    def refused_into(self, root: Path, backup: Path) -> str:
        """
        Return why a backup is not restored to a directory.
        """
        restore = Restore(str(backup), str(root), jobs=1)
        with restore.copy:
            return str(self.assertRaises(CannotCopy, list, restore.run()))

    def test_new_id(self) -> None:
        """
        A copy may get a new id, and its numbers may stay.
        """
        backup, _, _ = back_up(self.root, self.target)
        prepare_root(str(self.restored))
        (self.restored / "lost+found").mkdir()
        restore = Restore(str(backup), str(self.restored), jobs=1)
        with restore.copy:
            self.assertEqual(list(restore.run(with_new_id=True)), [])
        keep_numbers(str(self.restored))
        archive = FilesystemArchive(str(self.restored))
        archive.open()
        self.addCleanup(archive.close)
        self.assertNotEqual(archive.identity().archive_id, self.archive.identity().archive_id)
        self.assertEqual(archive.identity().restores, 0)
        self.assertEqual(archive.high_water_mark("m"), 0)

    def test_copied_by_hand(self) -> None:
        """
        If a backup was copied without the command, raising its numbers lets a daemon open it.
        """
        backup, _, _ = back_up(self.root, self.target)
        archive = FilesystemArchive(str(backup))
        self.assertRaises(CannotStart, archive.open)
        self.assertEqual([each.after for each in NumberRaiser(str(backup), by=5).run()], [8])
        archive.open()
        archive.close()
