"""
What an archive must do that knows which one it is.
"""

import os

from zope.interface.verify import verifyObject

from tests.contract.archive import ArchiveContract
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import ArchiveIdentity, IIdentifiableArchive
from twisted_registry.domain.errors import CannotStart


def identity_of(archive: IArchive) -> ArchiveIdentity:
    """
    Give what an open archive says of itself.
    """
    assert IIdentifiableArchive.providedBy(archive)
    identity: ArchiveIdentity = archive.identity()
    return identity


class IdentityContract(ArchiveContract):
    """
    ``IIdentifiableArchive``.
    """

    def test_interface(self) -> None:
        """
        It provides the interface.
        """
        verifyObject(IIdentifiableArchive, self.archive)

    def test_id_stays(self) -> None:
        """
        An archive has one id for all times, and is new once.
        """
        first = identity_of(self.archive)
        self.assertTrue(first.archive_id)
        self.assertTrue(first.is_new)
        self.reopen()
        self.assertEqual(identity_of(self.archive), ArchiveIdentity(first.archive_id))

    def test_must_exist(self) -> None:
        """
        An archive that must exist is opened where it does, be it empty; where there is none, nothing is made.
        """
        self.archive.close()
        self.archive = self.make_archive()
        self.archive.expect_existing()  # type: ignore[attr-defined]  # it is optional
        self.archive.open()
        self.archive.close()
        nowhere = self.make_elsewhere()
        nowhere.expect_existing()  # type: ignore[attr-defined]
        error = self.assertRaises(CannotStart, nowhere.open)
        self.assertIn("--archive-must-exist", str(error))
        self.assertFalse(os.path.exists(nowhere.description))

    def test_ids_differ(self) -> None:
        """
        No two archives have one id.
        """
        other = self.make_elsewhere()
        other.open()
        self.addCleanup(other.close)
        self.assertNotEqual(identity_of(other).archive_id, identity_of(self.archive).archive_id)

    def make_elsewhere(self) -> IArchive:
        """
        Make an archive, not opened, where there is none yet; its description is a path.
        """
        raise NotImplementedError
