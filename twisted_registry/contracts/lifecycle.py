"""
Optional contracts of an archive whose versions can be deleted one by one, and committed in any order.

With an archive that does not provide them, the registry refuses these operations.
"""

from zope.interface import Interface

from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.domain.models import VersionInfo


class ILifecycleWriter(IArchiveWriter):
    """
    A writer of ``ILifecycleArchive``.  Optional, in addition to ``IArchiveWriter``.
    """

    def commit_between(info: VersionInfo) -> None:
        """
        Make the version exist like ``IArchiveWriter.commit``, with a number that may be below others: a transient
        version that is archived keeps its number.

        Args:
            info: all facts about the version.

        Raises:
            UnknownModel: the model was deleted; the version does not exist.
            NumberTaken: a version with this number, or a part of one, is in the archive; it is left unchanged.
            StorageFull: the medium is full; the version does not exist.
            StorageReadOnly: the medium accepts no writes; the version does not exist.
            StorageFailure: the medium failed; the version does not exist.
            CommitUncertain: the medium failed; the version may exist after a restart.
        """


class IVersionRemoval(Interface):
    """
    The deletion of single versions.
    """

    def delete_version(model_id: str, version_number: int) -> None:
        """
        Delete a version, also a damaged one, with everything that belongs to it.  Durable when this returns; after a
        crash the version is complete or gone.  Open readers can read to the end.

        Its number is not used again: the model's high-water mark is raised to it first, unless it is at least as high.

        Args:
            model_id: the model's id.
            version_number: the version's number.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: there is no such version.
            StorageReadOnly: the medium accepts no writes; nothing was changed.
            StorageFailure: the medium failed; the version is unchanged, unless the medium refused that too.
        """


class IDeferredRemovals(Interface):
    """
    An archive that answers a deletion before it removes all files: the caller lets it remove them, some at a time.
    """

    def removal_seconds() -> float | None:
        """
        Return in how many seconds ``remove_some`` is to be called; ``None`` if nothing is left.  Calling it earlier is
        allowed, and takes more work in all.  May be called in any thread; never blocks.
        """

    def remove_some() -> None:
        """
        Remove some of what is left of deletions, also of those before a restart.  Must be fast: tens of milliseconds.

        Raises:
            ArchiveMoved: the archive is no longer where it was opened.
            StorageReadOnly: the medium accepts no writes.
            StorageFailure: the medium failed, so that nothing can be removed now.
        """


class ILifecycleArchive(IVersionRemoval):
    """
    An archive whose versions have a life after their creation, and whose writers provide ``ILifecycleWriter``.
    Optional, in addition to ``IArchive``.

    For one model, the caller never lets two of these calls, ``ILifecycleWriter.commit_between``, and the changes that
    ``IArchive`` names overlap.
    """
