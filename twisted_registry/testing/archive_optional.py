"""
Contracts that need more of an archive or its test: a medium that can fail, and an identity.
"""

import os
from contextlib import AbstractContextManager

from zope.interface.verify import verifyObject

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import ArchiveIdentity, IIdentifiableArchive
from twisted_registry.domain.errors import CannotStart, StorageFailure
from twisted_registry.domain.models import ModelInfo
from twisted_registry.testing.archive import ArchiveContract
from twisted_registry.testing.samples import data_of, put


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


class ArchiveIdentityContract(ArchiveContract):
    """
    The tests of ``IIdentifiableArchive``.  A subclass also defines ``make_other_archive``.
    """

    def make_other_archive(self) -> IArchive:
        """
        Make an archive, without opening it, on another empty medium.  Its description is a path.
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


def identity_of(archive: IArchive) -> ArchiveIdentity:
    """
    Return the identity of an open archive.
    """
    assert IIdentifiableArchive.providedBy(archive), "the archive has no identity"
    identity: ArchiveIdentity = archive.identity()
    return identity


def expect_existing(archive: IArchive) -> None:
    """
    Make an archive refuse to be created.
    """
    assert IIdentifiableArchive.providedBy(archive), "the archive has no identity"
    archive.expect_existing()
