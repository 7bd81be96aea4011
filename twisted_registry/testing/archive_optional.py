"""
The tests of optional contracts of archives: a medium that can fail, an identity, and idempotency keys.
"""

import os
from contextlib import AbstractContextManager

from zope.interface.verify import verifyObject

from twisted_registry.contracts.archive import IArchive, IVersionBatches
from twisted_registry.contracts.idempotency import IKeyedArchive, IKeyedArchiveWriter, StoredKey
from twisted_registry.contracts.ownership import ArchiveIdentity, IIdentifiableArchive
from twisted_registry.domain.errors import CannotStart, CorruptVersion, StorageFailure, UnknownModel
from twisted_registry.domain.idempotency import key_sha256, version_facts
from twisted_registry.domain.models import ModelInfo
from twisted_registry.testing.archive import ArchiveContract
from twisted_registry.testing.samples import CREATED_NS, data_of, finished, put, version_info

CREATED_SECONDS = CREATED_NS // 10**9


class ArchiveUnavailableContract(ArchiveContract):
    """
    The tests of an archive whose medium fails for some time.  A subclass also defines ``unavailable``.
    """

    def unavailable(self) -> AbstractContextManager[None]:
        """
        Return a context in which every read from the medium fails.
        """
        raise NotImplementedError

    def test_reading_fails(self) -> None:
        """
        Every read raises ``StorageFailure``: nothing is reported as empty, unknown or damaged.
        """
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        put(self.archive, "m", 1)
        with self.unavailable():
            for call in (self.archive.load_model, self.archive.version_numbers, self.archive.high_water_mark):
                self.assertRaises(StorageFailure, call, "m")
            self.assertRaises(StorageFailure, self.archive.model_ids)
            self.assertRaises(StorageFailure, self.archive.load_version, "m", 1)
            self.assertRaises(StorageFailure, data_of, self.archive, "m", 1)

    def test_failures_are_not_cached(self) -> None:
        """
        Once the medium works again, everything can be read.
        """
        info = ModelInfo("m", {"a": "b"})
        self.archive.save_model(info)
        version = put(self.archive, "m", 1)
        self.archive.set_high_water_mark("m", 5)
        with self.unavailable():
            for call in (self.archive.load_model, self.archive.version_numbers, self.archive.high_water_mark):
                self.assertRaises(StorageFailure, call, "m")
            self.assertRaises(StorageFailure, self.archive.load_version, "m", 1)
        self.assert_ids("m")
        self.assertEqual(self.archive.load_model("m"), info)
        self.assertEqual(self.archive.version_numbers("m"), [1])
        self.assertEqual(self.archive.load_version("m", 1), version)
        self.assertEqual(data_of(self.archive, "m", 1), b"data")
        self.assertEqual(self.archive.high_water_mark("m"), 5)

    def test_reader_fails(self) -> None:
        """
        A reader that cannot read further raises ``StorageFailure`` instead of reporting the end.
        """
        self.save("m")
        put(self.archive, "m", 1, b"0123456789")
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        with self.unavailable():
            self.assertRaises(StorageFailure, reader.read, 10)


class ArchiveBatchContract(ArchiveContract):
    """
    The tests of ``IVersionBatches``.
    """

    def test_interface(self) -> None:
        """
        The archive provides ``IVersionBatches``.
        """
        self.assertTrue(verifyObject(IVersionBatches, self.archive))

    def test_batch(self) -> None:
        """
        Versions come in the order of the numbers that were asked for, and a missing one as an error.
        """
        self.save("m")
        infos = {number: put(self.archive, "m", number, b"%d" % number) for number in (1, 2, 5)}
        first, missing, second, third = IVersionBatches(self.archive).load_versions("m", [5, 3, 1, 2])
        self.assertEqual([first, second, third], [infos[5], infos[1], infos[2]])
        self.assertIsInstance(missing, CorruptVersion)
        self.assertEqual((missing.model_id, missing.version_number), ("m", 3))
        self.assertEqual(IVersionBatches(self.archive).load_versions("m", []), [])

    def test_no_model(self) -> None:
        """
        A model that does not exist is unknown.
        """
        self.assertRaises(UnknownModel, IVersionBatches(self.archive).load_versions, "m", [1])


class ArchiveIdentityContract(ArchiveContract):
    """
    The tests of ``IIdentifiableArchive``.  A subclass also defines ``make_other_archive``.
    """

    def make_other_archive(self) -> IArchive:
        """
        Make an archive, without opening it, on another empty medium.  Its description is a path.

        Returns:
            The other archive.
        """
        raise NotImplementedError

    def test_interface(self) -> None:
        """
        The archive provides ``IIdentifiableArchive``.
        """
        self.assertTrue(verifyObject(IIdentifiableArchive, self.archive))

    def test_id_stays(self) -> None:
        """
        An archive keeps its id, and is new only when it is opened for the first time.
        """
        first = identity_of(self.archive)
        self.assertTrue(first.archive_id)
        self.assertTrue(first.is_new)
        self.reopen()
        self.assertEqual(identity_of(self.archive), ArchiveIdentity(first.archive_id))

    def test_must_exist(self) -> None:
        """
        An archive that must exist can be opened if it does, even if it is empty; otherwise nothing is created.
        """
        self.archive.close()
        self.archive = self.make_archive()
        expect_existing(self.archive)
        self.archive.open()
        self.archive.close()
        other = self.make_other_archive()
        expect_existing(other)
        with self.assertRaises(CannotStart) as caught:
            other.open()
        self.assertIn("--archive-must-exist", str(caught.exception))
        self.assertFalse(os.path.exists(other.description))

    def test_ids_differ(self) -> None:
        """
        Two archives have different ids.
        """
        other = self.make_other_archive()
        other.open()
        self.addCleanup(other.close)
        self.assertNotEqual(identity_of(other).archive_id, identity_of(self.archive).archive_id)


class ArchiveKeyContract(ArchiveContract):
    """
    The tests of ``IKeyedArchive``.
    """

    def setUp(self) -> None:
        """
        Create a model.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))

    def create(self, number: int, key: str) -> StoredKey:
        """
        Create a version with a key.

        Args:
            number: the version's number.
            key: the idempotency key.

        Returns:
            The key as it must be stored.
        """
        info = version_info("m", number, b"data")
        writer = finished(self.archive, "m", b"data")
        IKeyedArchiveWriter(writer).set_key(key_sha256(key), CREATED_SECONDS)
        writer.commit(info)
        return StoredKey(key_sha256(key), number, CREATED_SECONDS, version_facts(info))

    def assert_keys(self, *expected: StoredKey) -> None:
        """
        Check which keys are stored with the model, in the order of their versions.

        Args:
            expected: the keys, ordered by version number.
        """
        keys = IKeyedArchive(self.archive).stored_keys("m")
        self.assertEqual(sorted(keys, key=lambda key: key.version_number), list(expected))

    def test_interface(self) -> None:
        """
        The archive and its writers provide the interfaces of keys.
        """
        self.assertTrue(verifyObject(IKeyedArchive, self.archive))
        self.assertTrue(verifyObject(IKeyedArchiveWriter, self.archive.create_version("m")))

    def test_keys_stay(self) -> None:
        """
        Keys survive a restart with their versions; a version that was created without a key has none.
        """
        keys = self.create(1, "one"), self.create(2, "two")
        put(self.archive, "m", 3)
        self.assert_keys(*keys)
        self.reopen()
        self.assert_keys(*keys)

    def test_aborted_version(self) -> None:
        """
        A version that is never committed leaves no key.
        """
        writer = finished(self.archive, "m", b"data")
        IKeyedArchiveWriter(writer).set_key(key_sha256("one"), CREATED_SECONDS)
        writer.abort()
        self.assert_keys()

    def test_removed_keys(self) -> None:
        """
        Keys can be removed, even if they are not there; their versions stay.
        """
        one, two = self.create(1, "one"), self.create(2, "two")
        IKeyedArchive(self.archive).remove_keys("m", [one, one])
        self.assert_keys(two)
        self.assertEqual(self.archive.version_numbers("m"), [1, 2])

    def test_deleted_model(self) -> None:
        """
        Deleting a model deletes its keys; the keys of a model that does not exist are unknown, and can be removed.
        """
        key = self.create(1, "one")
        self.archive.delete_model("m")
        self.assertRaises(UnknownModel, IKeyedArchive(self.archive).stored_keys, "m")
        IKeyedArchive(self.archive).remove_keys("m", [key])
        self.archive.save_model(ModelInfo("m"))
        self.assert_keys()


def identity_of(archive: IArchive) -> ArchiveIdentity:
    """
    Return the identity of an open archive.

    Args:
        archive: an open archive.
    """
    assert IIdentifiableArchive.providedBy(archive), "the archive has no identity"
    identity: ArchiveIdentity = archive.identity()
    return identity


def expect_existing(archive: IArchive) -> None:
    """
    Make an archive refuse to be created.

    Args:
        archive: an archive that is not open yet.
    """
    assert IIdentifiableArchive.providedBy(archive), "the archive has no identity"
    archive.expect_existing()
