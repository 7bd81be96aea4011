"""
The archive in memory keeps the contract, which so asks for nothing that only a file system has.
"""

from tests.contract import archive, archive_models, archive_versions
from tests.support.memory_archive import MemoryArchive, MemoryMedium
from twisted_registry.contracts.archive import IArchive


class _InMemory(archive.ArchiveContract):
    def setUp(self) -> None:
        """
        Make a medium.
        """
        self.medium = MemoryMedium()
        super().setUp()

    def make_archive(self) -> IArchive:
        """
        Make an archive on the test's medium.
        """
        return MemoryArchive(self.medium)


class MemoryModelTests(_InMemory, archive_models.ModelContract):
    """
    The suite for models, on ``MemoryArchive``.
    """


class MemoryVersionTests(_InMemory, archive_versions.VersionContract):
    """
    The suite for versions, on ``MemoryArchive``.
    """
