"""
Contract tests of the archive in memory: the contract demands nothing that only a file system has.
"""

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.contracts.archive import IArchive
from twisted_registry.storage.wrappers.error_log import StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive
from twisted_registry.testing import (
    ArchiveAnnotationContract,
    ArchiveContract,
    ArchiveKeyContract,
    ArchiveLifecycleContract,
    ArchiveModelContract,
    ArchiveUnfinishedContract,
    ArchiveVersionContract,
    MemoryArchive,
    MemoryMedium,
)


class _InMemory(ArchiveContract, SynchronousTestCase):
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


class MemoryModelTests(_InMemory, ArchiveModelContract):
    """
    The contract for models, on ``MemoryArchive``.
    """


class MemoryVersionTests(_InMemory, ArchiveVersionContract):
    """
    The contract for versions, on ``MemoryArchive``.
    """


class MemoryKeyTests(_InMemory, ArchiveKeyContract):
    """
    The contract for idempotency keys, on ``MemoryArchive``.
    """


class _Logging(ArchiveContract, SynchronousTestCase):
    def setUp(self) -> None:
        """
        Make a medium.
        """
        self.medium = MemoryMedium()
        super().setUp()

    def make_archive(self) -> IArchive:
        """
        Make an archive on the test's medium, with a wrapper around it.
        """
        archive = MemoryArchive(self.medium)
        return LoggingArchive(archive, StorageErrorLog(archive.description))


class LoggingKeyTests(_Logging, ArchiveKeyContract):
    """
    The contract for idempotency keys, on ``LoggingArchive``.
    """


class LoggingLifecycleTests(_Logging, ArchiveLifecycleContract):
    """
    The contract for deletion and promotion, on ``LoggingArchive``.
    """


class LoggingAnnotationTests(_Logging, ArchiveAnnotationContract):
    """
    The contract for annotations, aliases and retention, on ``LoggingArchive``.
    """


class MemoryLifecycleTests(_InMemory, ArchiveLifecycleContract):
    """
    The contract for deletion and promotion, on ``MemoryArchive``.
    """


class MemoryAnnotationTests(_InMemory, ArchiveAnnotationContract):
    """
    The contract for annotations, aliases and retention, on ``MemoryArchive``.
    """


class MemoryUnfinishedTests(_InMemory, ArchiveUnfinishedContract):
    """
    The contract for unfinished uploads, on ``MemoryArchive``.
    """
