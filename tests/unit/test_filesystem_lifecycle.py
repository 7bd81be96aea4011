"""
The archive on a file system: deleted versions, and versions committed between others.
"""

import errno

from twisted.logger import LogLevel, capturedLogs

from tests.support.damage import findings
from tests.support.faulty_system import failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.contracts.idempotency import IKeyedArchiveWriter
from twisted_registry.domain.errors import NumberTaken, StorageFailure, UnknownVersion
from twisted_registry.domain.idempotency import key_sha256
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.filesystem.removals import NAMES_AT_ONCE
from twisted_registry.storage.filesystem.verify.findings import Kind
from twisted_registry.testing.archive_lifecycle import lifecycle_writer, remove_all
from twisted_registry.testing.samples import data_of, finished, put, version_info


class LifecycleCase(FilesystemCase):
    """
    A model with the versions 1, 3 and 5.
    """

    def setUp(self) -> None:
        """
        Create them.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 3, 5):
            put(self.archive, "m", number)

    def names(self) -> list[str]:
        """
        Return the names in the model's folder, without those of whole versions and the model.
        """
        whole = {
            "m.yaml",
            *(f"m-v00000{n}.{tail}" for n in self.archive.version_numbers("m") for tail in ("yaml", "data")),
        }
        return sorted(path.name for path in (self.root / "m").iterdir() if path.name not in whole)

    def assert_not_damaged(self) -> None:
        """
        Check that neither a verification nor a restart finds damage, and that a restart removes all that is left.
        """
        self.assertEqual([finding for finding in findings(self.root) if finding.kind is not Kind.LEFT_OVER], [])
        self.reopen()
        with capturedLogs() as events:
            self.archive.version_numbers("m")
            remove_all(self.archive)
        self.assertEqual([event for event in events if event["log_level"] > LogLevel.info], [])
        self.assertIn(self.names(), ([], [".reserved"]))


class DeletionTests(LifecycleCase):
    """
    The deletion of versions.
    """

    def test_damaged(self) -> None:
        """
        A version can be deleted whatever its files are.
        """
        folder = self.root / "m"
        (folder / "m-v000001.data").unlink()
        (folder / "m-v000003.yaml").write_bytes(b"\0")
        (folder / "m-v000005.yaml").unlink()
        (folder / "m-v000005.yaml").mkdir()
        (folder / "m-v000005.yaml" / "x").write_bytes(b"")
        for number in (1, 3, 5):
            self.archive.delete_version("m", number)
        remove_all(self.archive)
        self.assertEqual(self.names(), [".reserved"])
        self.assert_not_damaged()

    def test_killed_before_the_data_is_removed(self) -> None:
        """
        Data of a deleted version is not damage, and a restart removes it, the key and the mark.
        """
        writer = finished(self.archive, "m", b"data")
        IKeyedArchiveWriter(writer).set_key(key_sha256("key"), 1)
        writer.commit(version_info("m", 6, b"data"))
        self.archive.set_high_water_mark("m", 6)
        for number in (3, 6):
            (self.root / "m" / f"m-v00000{number}.yaml").rename(self.root / "m" / f".deleted-00000{number}")
        self.reopen()
        self.assertEqual(self.archive.version_numbers("m"), [1, 5])
        self.assert_not_damaged()

    def test_removals_are_ordered(self) -> None:
        """
        The mark of a deleted version stays until all else is durably removed.
        """
        for pattern in (r"unlink m/m-v000003\.data", "fsync m"):
            self.system.disturbance = None
            (self.root / "m" / "m-v000003.yaml").rename(self.root / "m" / ".deleted-000003")
            self.archive.version_numbers("m")
            self.reopen()
            self.archive.version_numbers("m")
            self.system.disturbance = failing_where(pattern, errno.EIO)
            remove_all(self.archive)
            self.assertIn(".deleted-000003", self.names())
            self.system.disturbance = None
            self.reopen()
            self.archive.version_numbers("m")
            remove_all(self.archive)
            put(self.archive, "m", 3)
        self.archive.delete_version("m", 3)
        self.assert_not_damaged()

    def test_undone(self) -> None:
        """
        If the deletion cannot be synced, the version stays whole, and a removal under way does not touch it.
        """
        self.archive.set_high_water_mark("m", 9)
        self.archive.delete_version("m", 1)

        def disturb(call: str) -> None:
            if call == "fsync m":
                self.system.disturbance = None
                remove_all(self.archive)
                raise OSError(errno.EIO, "")

        self.system.disturbance = disturb
        self.assertRaises(StorageFailure, self.archive.delete_version, "m", 3)
        remove_all(self.archive)
        self.assertEqual(data_of(self.archive, "m", 3), b"data")
        self.assertEqual(self.archive.version_numbers("m"), [3, 5])
        self.assert_not_damaged()

    def test_many_undone(self) -> None:
        """
        If one of several deletions fails, or their sync, all versions stay whole.
        """
        self.archive.set_high_water_mark("m", 9)
        for pattern in ("rename m/m-v000003.*", "fsync m"):
            self.system.disturbance = failing_where(pattern, errno.EIO)
            self.assertRaises(StorageFailure, self.archive.delete_versions, "m", [1, 3, 5])
            self.system.disturbance = None
            remove_all(self.archive)
            self.assertEqual(self.archive.version_numbers("m"), [1, 3, 5])
            self.assertEqual([data_of(self.archive, "m", number) for number in (1, 3, 5)], [b"data"] * 3)
        self.archive.delete_versions("m", [1, 3])
        self.assertEqual(self.archive.version_numbers("m"), [5])
        self.assert_not_damaged()

    def test_full_disk(self) -> None:
        """
        On a full disk every version can be deleted but the highest, whose number nothing else would prove.
        """
        self.system.disturbance = failing_where("write .*", errno.ENOSPC)
        self.archive.delete_version("m", 1)
        self.assertRaises(StorageFailure, self.archive.delete_version, "m", 5)
        self.archive.delete_version("m", 3)
        self.assertEqual(self.archive.version_numbers("m"), [5])

    def test_mark(self) -> None:
        """
        The first deletion raises the high-water mark far enough for later ones, and does not list the folder for it.
        """
        for number in range(6, 100):
            put(self.archive, "m", number)
        self.system.calls.clear()
        self.archive.delete_versions("m", [1, 3])
        self.assertEqual([call for call in self.system.calls if call.startswith("listdir")], [])
        self.assertEqual(self.archive.high_water_mark("m"), 99)

    def test_mark_between_gaps(self) -> None:
        """
        If numbers are missing, the mark is still that of the deleted version or of a higher one that exists.
        """
        put(self.archive, "m", 12)
        self.archive.delete_versions("m", [1])
        self.assertEqual(self.archive.high_water_mark("m"), 5)
        self.archive.delete_versions("m", [5])
        self.archive.delete_versions("m", [12])
        self.assertEqual(self.archive.high_water_mark("m"), 12)

    def test_slow_listing(self) -> None:
        """
        If it takes long to list a folder, removals in it are rarer.
        """

        def list_slowly(call: str) -> None:
            if call == "listdir m":
                self.system.now_seconds += 3.0

        self.archive.delete_versions("m", [1])
        self.assertEqual(self.archive.removal_seconds(), 5.0)
        self.system.disturbance = list_slowly
        remove_all(self.archive)
        self.archive.delete_versions("m", [3])
        self.assertEqual(self.archive.removal_seconds(), 60.0)
        self.system.disturbance = None
        remove_all(self.archive)
        self.archive.delete_versions("m", [5])
        self.assertEqual(self.archive.removal_seconds(), 5.0)

    def test_orphan(self) -> None:
        """
        Data that has lost its .yaml is not a version that could be deleted.
        """
        (self.root / "m" / "m-v000003.yaml").unlink()
        self.assertRaises(UnknownVersion, self.archive.delete_version, "m", 3)
        self.assertIn("m-v000003.data", self.names())

    def test_removals_are_short(self) -> None:
        """
        The files of a deleted model are removed some at a time.
        """
        for number in range(6, 6 + NAMES_AT_ONCE):
            put(self.archive, "m", number)
        self.archive.delete_model("m")
        self.assertEqual(self.system.changes()[-3:], ["rename m .0/trash/*", "fsync .0/trash", "fsync ."])
        counts = []
        while self.archive.removal_seconds() is not None:
            self.system.calls.clear()
            self.archive.remove_some()
            counts.append(len([call for call in self.system.calls if call.startswith("unlink ")]))
        self.assertEqual(sum(counts), 2 * (NAMES_AT_ONCE + 3) + 1)
        self.assertLessEqual(max(counts), NAMES_AT_ONCE)

    def test_closed(self) -> None:
        """
        A removal that is under way when the archive is closed leaves no descriptor open, and goes on later.
        """
        for number in range(6, 6 + NAMES_AT_ONCE):
            put(self.archive, "m", number)
        self.archive.delete_model("m")
        self.archive.remove_some()
        self.archive.close()
        self.assertEqual(self.system.descriptors, {})
        self.archive.open()
        remove_all(self.archive)
        self.assertEqual(self.files(), [])


class PromotionTests(LifecycleCase):
    """
    Versions that are committed between others.
    """

    def mark(self, number: int) -> None:
        """
        Leave the mark of a promotion.
        """
        (self.root / "m" / f".promoting-00000{number}").write_bytes(b"")

    def test_killed(self) -> None:
        """
        Data with the mark of a promotion is removed if it has no .yaml; otherwise the version exists.
        """
        self.mark(2)
        (self.root / "m" / "m-v000002.data").write_bytes(b"da")
        self.mark(3)
        self.mark(4)
        self.assertEqual({finding.kind for finding in findings(self.root)}, {Kind.LEFT_OVER, Kind.UNFINISHED})
        self.reopen()
        self.assertEqual(self.archive.version_numbers("m"), [1, 3, 5])
        self.assertEqual(self.names(), [])
        self.assert_not_damaged()

    def test_listed_meanwhile(self) -> None:
        """
        A promotion is complete, whenever the versions are listed for the first time.
        """
        for position in range(60):
            self.reopen()
            writer = lifecycle_writer(self.archive, "m", b"data")
            calls = iter(range(1000))

            def disturb(call: str, position: int = position, calls: "object" = calls) -> None:
                if next(calls) == position:  # type: ignore[call-overload]  # an iterator
                    self.system.disturbance = None
                    self.archive.version_numbers("m")

            self.system.disturbance = disturb
            writer.commit_between(version_info("m", 2, b"data"))
            is_over = self.system.disturbance is not None
            self.system.disturbance = None
            self.assertEqual(data_of(self.archive, "m", 2), b"data")
            self.assertEqual(self.names(), [])
            self.archive.delete_version("m", 2)
            remove_all(self.archive)
            (self.root / "m" / ".reserved").unlink()
            if is_over:
                return
        self.fail("the promotion makes more calls than the test disturbs")

    def test_orphans_are_kept(self) -> None:
        """
        Data that has lost its .yaml is evidence of damage: no promotion replaces it.
        """
        (self.root / "m" / "m-v000003.yaml").unlink()
        writer = lifecycle_writer(self.archive, "m", b"new")
        self.assertRaises(NumberTaken, writer.commit_between, version_info("m", 3, b"new"))
        writer.abort()
        self.assertEqual(self.names(), ["m-v000003.data"])
        self.assertEqual((self.root / "m" / "m-v000003.data").read_bytes(), b"data")

    def test_deleted_numbers_are_taken(self) -> None:
        """
        A version is not committed under the number of one whose rest is still to be removed.
        """
        self.archive.delete_version("m", 3)
        writer = lifecycle_writer(self.archive, "m", b"new")
        self.assertRaises(NumberTaken, writer.commit_between, version_info("m", 3, b"new"))
        writer.abort()
        self.assert_not_damaged()
