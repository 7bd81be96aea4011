"""
The archive on a file system keeps the contract.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract import archive, archive_identity, archive_models, archive_unavailable, archive_versions
from tests.support.faulty_system import FaultySystem, failing_where
from twisted_registry.contracts.archive import IArchive
from twisted_registry.storage.filesystem.archive import FilesystemArchive


class _OnFilesystem(archive.ArchiveContract):
    root = ""

    def make_archive(self) -> IArchive:
        """
        Make an archive in the test's own folder.
        """
        self.root = self.root or self.mktemp()
        return FilesystemArchive(self.root)


class FilesystemModelTests(_OnFilesystem, archive_models.ModelContract):
    """
    The suite for models, on ``FilesystemArchive``.
    """


class FilesystemVersionTests(_OnFilesystem, archive_versions.VersionContract):
    """
    The suite for versions, on ``FilesystemArchive``.
    """


class FilesystemUnavailableTests(_OnFilesystem, archive_unavailable.UnavailableContract):
    """
    The suite for a medium that fails, on ``FilesystemArchive``.
    """

    def make_archive(self) -> IArchive:
        """
        Make an archive on a system that can fail.
        """
        self.root = self.root or str(Path(self.mktemp()).absolute())
        self.system = FaultySystem(self.root)
        return FilesystemArchive(self.root, self.system)

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """
        Have all calls to the system fail as on a network file system whose server is away.
        """
        self.system.disturbance = failing_where(".*", errno.ESTALE)
        try:
            yield
        finally:
            self.system.disturbance = None


class FilesystemIdentityTests(_OnFilesystem, archive_identity.IdentityContract):
    """
    The suite for identities, on ``FilesystemArchive``.
    """

    def make_elsewhere(self) -> IArchive:
        """
        Make an archive in another folder.
        """
        return FilesystemArchive(self.mktemp())
