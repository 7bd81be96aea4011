"""
Contract tests of the archive on a file system.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.faulty_system import FaultySystem, failing_where
from twisted_registry.contracts.archive import IArchive
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.testing import (
    ArchiveAnnotationContract,
    ArchiveBatchContract,
    ArchiveContract,
    ArchiveIdentityContract,
    ArchiveKeyContract,
    ArchiveLifecycleContract,
    ArchiveModelContract,
    ArchiveUnavailableContract,
    ArchiveUnfinishedContract,
    ArchiveVersionContract,
)


class _OnFilesystem(ArchiveContract, SynchronousTestCase):
    root = ""

    def make_archive(self) -> IArchive:
        """
        Make an archive in the test's directory.
        """
        self.root = self.root or self.mktemp()
        return FilesystemArchive(self.root)


class FilesystemModelTests(_OnFilesystem, ArchiveModelContract):
    """
    The contract for models, on ``FilesystemArchive``.
    """


class FilesystemVersionTests(_OnFilesystem, ArchiveVersionContract):
    """
    The contract for versions, on ``FilesystemArchive``.
    """


class FilesystemBatchTests(_OnFilesystem, ArchiveBatchContract):
    """
    The contract for reading several versions at once, on ``FilesystemArchive``.
    """


class FilesystemKeyTests(_OnFilesystem, ArchiveKeyContract):
    """
    The contract for idempotency keys, on ``FilesystemArchive``.
    """


class FilesystemLifecycleTests(_OnFilesystem, ArchiveLifecycleContract):
    """
    The contract for deletion and promotion, on ``FilesystemArchive``.
    """


class FilesystemUnavailableTests(_OnFilesystem, ArchiveUnavailableContract):
    """
    The contract for a medium that fails, on ``FilesystemArchive``.
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
        Make every call to the system fail as on a network file system whose server is away.
        """
        self.system.disturbance = failing_where(".*", errno.ESTALE)
        try:
            yield
        finally:
            self.system.disturbance = None


class FilesystemIdentityTests(_OnFilesystem, ArchiveIdentityContract):
    """
    The contract for identities, on ``FilesystemArchive``.
    """

    def make_other_archive(self) -> IArchive:
        """
        Make an archive in another directory.
        """
        return FilesystemArchive(self.mktemp())


class FilesystemAnnotationTests(_OnFilesystem, ArchiveAnnotationContract):
    """
    The contract for annotations, aliases and retention, on ``FilesystemArchive``.
    """


class FilesystemUnfinishedTests(_OnFilesystem, ArchiveUnfinishedContract):
    """
    The contract for unfinished uploads, on ``FilesystemArchive``.
    """
