"""
The archive on a file system keeps the contract.
"""

from tests.contract import archive, archive_models, archive_versions
from twisted_registry.interfaces import IArchive
from twisted_registry.storage.filesystem import FilesystemArchive


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
    The suite for models, on L{FilesystemArchive}.
    """


class FilesystemVersionTests(_OnFilesystem, archive_versions.VersionContract):
    """
    The suite for versions, on L{FilesystemArchive}.
    """
