"""
The contract of archives whose versions can be deleted, and committed in any order.
"""

from zope.interface.verify import verifyObject

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.idempotency import IKeyedArchive, IKeyedArchiveWriter, StoredKey
from twisted_registry.contracts.lifecycle import IDeferredRemovals, ILifecycleArchive, ILifecycleWriter
from twisted_registry.domain.errors import CorruptVersion, NumberTaken, StorageFailure, UnknownModel, UnknownVersion
from twisted_registry.domain.idempotency import key_sha256, version_facts
from twisted_registry.domain.models import VersionInfo
from twisted_registry.testing.archive import ArchiveContract
from twisted_registry.testing.samples import CREATED_NS, data_of, finished, put, version_info


class ArchiveLifecycleContract(ArchiveContract):
    """
    The tests of ``ILifecycleArchive``: deletion and promotion.
    """

    def setUp(self) -> None:
        """
        Save the model that the tests use.
        """
        super().setUp()
        self.save("m")

    def delete(self, *numbers: int) -> None:
        """
        Delete versions.

        Args:
            numbers: their numbers.
        """
        for number in numbers:
            ILifecycleArchive(self.archive).delete_version("m", number)

    def delete_at_once(self, *numbers: int) -> None:
        """
        Delete versions with one call.

        Args:
            numbers: their numbers.
        """
        ILifecycleArchive(self.archive).delete_versions("m", numbers)

    def promote(self, number: int, data: bytes = b"data") -> VersionInfo:
        """
        Commit a version whose number may be below others.

        Args:
            number: the version's number.
            data: the version's data.

        Returns:
            The version's info.
        """
        info = version_info("m", number, data, metadata={"a": "b"})
        lifecycle_writer(self.archive, "m", data).commit_between(info)
        return info

    def assert_versions(self, *numbers: int) -> None:
        """
        Check which versions exist, before and after a restart.

        Args:
            numbers: the expected numbers, ascending.
        """
        for _ in range(2):
            self.assertEqual(self.archive.version_numbers("m"), list(numbers))
            for number in numbers:
                self.assertEqual(self.archive.load_version("m", number).version_number, number)
            self.reopen()

    def test_interfaces(self) -> None:
        """
        The archive and its writers provide the interfaces.
        """
        self.assertTrue(verifyObject(ILifecycleArchive, self.archive))
        self.assertTrue(verifyObject(ILifecycleWriter, self.archive.create_version("m")))

    def test_deleted(self) -> None:
        """
        A deleted version is gone, and the others stay.
        """
        for number in (1, 2, 3):
            put(self.archive, "m", number)
        self.delete(2)
        self.assertRaises(CorruptVersion, self.archive.load_version, "m", 2)
        self.assertRaises(CorruptVersion, self.archive.open_version, "m", 2)
        self.assert_versions(1, 3)

    def test_unknown_versions_are_not_deleted(self) -> None:
        """
        Deleting a version that does not exist, or no longer does, fails and changes nothing.
        """
        put(self.archive, "m", 1)
        put(self.archive, "m", 2)
        self.delete(1)
        for number in (1, 3):
            with self.assertRaises(UnknownVersion) as caught:
                self.delete(number)
            self.assertEqual((caught.exception.model_id, caught.exception.selector), ("m", number))
        self.assertLess(self.archive.high_water_mark("m"), 3)
        self.assertRaises(UnknownModel, ILifecycleArchive(self.archive).delete_version, "n", 1)
        self.assert_versions(2)

    def test_numbers_are_not_used_again(self) -> None:
        """
        The number of a deleted version stays used, also after a restart, if it was the highest.
        """
        for number in (1, 2, 3):
            put(self.archive, "m", number)
        self.delete(3, 2, 1)
        for _ in range(2):
            self.assertGreaterEqual(self.archive.high_water_mark("m"), 3)
            self.assertEqual(self.archive.version_numbers("m"), [])
            self.reopen()

    def test_many_deleted(self) -> None:
        """
        Several versions are deleted at once; those that do not exist are skipped, and no number is used again.
        """
        for number in (1, 2, 3, 4):
            put(self.archive, "m", number)
        self.delete_at_once()
        self.delete_at_once(1, 4, 7, 3)
        self.assert_versions(2)
        remove_all(self.archive)
        self.delete_at_once(1, 7)
        self.assert_versions(2)
        self.assertGreaterEqual(self.archive.high_water_mark("m"), 4)
        self.assertLess(self.archive.high_water_mark("m"), 7)
        self.assertRaises(UnknownModel, ILifecycleArchive(self.archive).delete_versions, "n", [1])

    def test_many_deleted_while_read(self) -> None:
        """
        An open reader of one of several deleted versions reads to the end.
        """
        put(self.archive, "m", 1, b"0123456789")
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        self.delete_at_once(1)
        remove_all(self.archive)
        self.assertEqual(reader.read(10), b"0123456789")

    def test_marks_are_not_lowered(self) -> None:
        """
        Deleting a version leaves a higher high-water mark as it is.
        """
        put(self.archive, "m", 1)
        self.archive.set_high_water_mark("m", 10)
        self.delete(1)
        self.assertEqual(self.archive.high_water_mark("m"), 10)

    def test_deleted_while_read(self) -> None:
        """
        An open reader of a deleted version reads to the end.
        """
        put(self.archive, "m", 1, b"0123456789")
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        self.assertEqual(reader.read(4), b"0123")
        self.delete(1)
        remove_all(self.archive)
        self.assertEqual(reader.read(10), b"456789")

    def test_deleted_before_a_commit(self) -> None:
        """
        A version can be created after others were deleted, and a model deleted with all that is left of it.
        """
        put(self.archive, "m", 1)
        self.delete(1)
        put(self.archive, "m", 2)
        self.assert_versions(2)
        self.delete(2)
        self.archive.delete_model("m")
        remove_all(self.archive)
        self.save("m")
        self.assert_versions()
        self.assertEqual(self.archive.high_water_mark("m"), 0)

    def test_removed(self) -> None:
        """
        Everything that deletions leave is removed, if the archive is asked often enough.
        """
        put(self.archive, "m", 1)
        put(self.archive, "m", 2)
        self.delete(1)
        remove_all(self.archive)
        self.delete(2)
        self.archive.delete_model("m")
        remove_all(self.archive)
        self.assert_ids([])

    def test_keys_are_deleted(self) -> None:
        """
        The idempotency key of a version is deleted with it.
        """
        if not IKeyedArchive.providedBy(self.archive):
            return
        for number in (1, 2):
            writer = finished(self.archive, "m", b"data")
            IKeyedArchiveWriter(writer).set_key(key_sha256(str(number)), CREATED_NS // 10**9)
            writer.commit(version_info("m", number, b"data"))
        self.delete(1)
        remove_all(self.archive)
        keys = IKeyedArchive(self.archive).stored_keys("m")
        self.assertEqual([key.version_number for key in keys], [2])

    def test_keys_of_promoted_versions(self) -> None:
        """
        A version that is committed between others keeps its idempotency key, with the time that it was given.
        """
        if not IKeyedArchive.providedBy(self.archive):
            return
        put(self.archive, "m", 2)
        info = version_info("m", 1, b"data")
        writer = lifecycle_writer(self.archive, "m", b"data")
        IKeyedArchiveWriter(writer).set_key(key_sha256("key"), 7)
        writer.commit_between(info)
        for _ in range(2):
            keys = IKeyedArchive(self.archive).stored_keys("m")
            self.assertEqual(keys, [StoredKey(key_sha256("key"), 1, 7, version_facts(info))])
            self.reopen()

    def test_promoted(self) -> None:
        """
        A version may be committed between others, below them and above them.
        """
        put(self.archive, "m", 3)
        put(self.archive, "m", 6)
        infos = [self.promote(number, b"%d" % number) for number in (4, 1, 8)]
        self.assertEqual([self.archive.load_version("m", info.version_number) for info in infos], infos)
        self.assertEqual([data_of(self.archive, "m", number) for number in (4, 1, 8)], [b"4", b"1", b"8"])
        self.assert_versions(1, 3, 4, 6, 8)

    def test_taken_numbers(self) -> None:
        """
        A version is not replaced by one that is committed under its number.
        """
        put(self.archive, "m", 1, b"old")
        put(self.archive, "m", 2)
        writer = lifecycle_writer(self.archive, "m", b"new")
        with self.assertRaises(NumberTaken) as caught:
            writer.commit_between(version_info("m", 1, b"new"))
        self.assertGreaterEqual(caught.exception.highest, 2)
        writer.abort()
        self.assertEqual(data_of(self.archive, "m", 1), b"old")
        self.assert_versions(1, 2)

    def test_aborted_promotion(self) -> None:
        """
        After ``abort`` a version cannot be committed, and one of a deleted model cannot either.
        """
        put(self.archive, "m", 2)
        writer = lifecycle_writer(self.archive, "m", b"data")
        writer.abort()
        self.assertRaises(StorageFailure, writer.commit_between, version_info("m", 1, b"data"))
        self.assert_versions(2)
        writer = lifecycle_writer(self.archive, "m", b"data")
        self.archive.delete_model("m")
        self.assertRaises(UnknownModel, writer.commit_between, version_info("m", 1, b"data"))
        writer.abort()


def lifecycle_writer(archive: IArchive, model_id: str, data: bytes) -> ILifecycleWriter:
    """
    Write a version's data.

    Args:
        archive: an open archive whose writers provide ``ILifecycleWriter``.
        model_id: the model's id.
        data: the version's data.

    Returns:
        The writer, ready for the commit.
    """
    writer: ILifecycleWriter = ILifecycleWriter(finished(archive, model_id, data))
    return writer


def remove_all(archive: IArchive) -> None:
    """
    Let an archive remove what its deletions left, without waiting until it is due.

    Args:
        archive: an open archive; nothing happens if it does not provide ``IDeferredRemovals``.
    """
    if IDeferredRemovals.providedBy(archive):
        while archive.removal_seconds() is not None:
            archive.remove_some()
