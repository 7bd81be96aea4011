"""
Tests and tools for programs that build on the registry.

``start_registry`` and ``running_registry`` start a registry inside the process of a test.  The suites are for those
who write a provider: ``ArchiveModelContract``, ``ArchiveVersionContract``, ``ArchiveUnavailableContract``,
``ArchiveIdentityContract``, ``ArchiveKeyContract``, ``ArchiveLifecycleContract``, ``ArchiveAnnotationContract``,
``ArchiveUnfinishedContract``, ``TransientStoreContract``, ``CoordinationContract`` and ``AuthenticatorContract``.  All
of them work with trial, unittest and pytest.
"""

from twisted_registry.testing.archive import ArchiveContract, ArchiveModelContract
from twisted_registry.testing.archive_annotations import ArchiveAnnotationContract
from twisted_registry.testing.archive_lifecycle import ArchiveLifecycleContract
from twisted_registry.testing.archive_optional import (
    ArchiveBatchContract,
    ArchiveIdentityContract,
    ArchiveKeyContract,
    ArchiveUnavailableContract,
)
from twisted_registry.testing.archive_unfinished import ArchiveUnfinishedContract
from twisted_registry.testing.archive_versions import ArchiveVersionContract
from twisted_registry.testing.authenticators import AuthenticatorContract
from twisted_registry.testing.coordination import CoordinationContract
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium
from twisted_registry.testing.server import InProcessRegistry, running_registry, start_registry
from twisted_registry.testing.transient import TransientStoreContract

__all__ = [
    "ArchiveAnnotationContract",
    "ArchiveBatchContract",
    "ArchiveContract",
    "ArchiveIdentityContract",
    "ArchiveKeyContract",
    "ArchiveLifecycleContract",
    "ArchiveModelContract",
    "ArchiveUnavailableContract",
    "ArchiveUnfinishedContract",
    "ArchiveVersionContract",
    "AuthenticatorContract",
    "CoordinationContract",
    "InProcessRegistry",
    "MemoryArchive",
    "MemoryMedium",
    "TransientStoreContract",
    "running_registry",
    "start_registry",
]
