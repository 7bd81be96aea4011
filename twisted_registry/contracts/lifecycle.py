"""
Optional contracts of an archive whose versions can be deleted one by one, committed in any order, named and annotated.

With an archive that does not provide them, the registry refuses these operations.
"""

from collections.abc import Mapping, Sequence

from zope.interface import Interface

from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.errors import CorruptAnnotations
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.retention import RetentionPolicy


class ILifecycleWriter(IArchiveWriter):
    """
    A writer of ``ILifecycleArchive``.  Optional, in addition to ``IArchiveWriter``.
    """

    def set_annotations(annotations: Annotations) -> None:
        """
        Store labels and metrics with the version.  Called before the commit, which makes both durable: if the version
        exists after a crash, so do they.

        Args:
            annotations: the labels and metrics.
        """

    def set_alias_moves(moves: Sequence[AliasMove]) -> None:
        """
        Move aliases to the version.  Called before the commit: if the version exists after a crash, the moves have
        happened, and otherwise they have not.

        Args:
            moves: the moves, as ``IAliasJournal.append_alias_moves`` takes them.
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

    def delete_versions(model_id: str, version_numbers: Sequence[int]) -> None:
        """
        Delete versions as ``delete_version`` does, with one sync for all of them.  Must be fast: tens of milliseconds
        for a hundred versions.  After a crash each of them is complete or gone.

        Args:
            model_id: the model's id.
            version_numbers: the versions' numbers.  Versions that do not exist are skipped.

        Raises:
            UnknownModel: there is no such model.
            StorageReadOnly: the medium accepts no writes; nothing was changed.
            StorageFailure: the medium failed; the versions are unchanged, unless the medium refused that too.
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


class IAnnotationStore(Interface):
    """
    The labels and metrics of versions.
    """

    def load_annotations(model_id: str, version_numbers: Sequence[int]) -> list[Annotations | CorruptAnnotations]:
        """
        Read the labels and metrics of some versions.

        Args:
            model_id: the model's id.
            version_numbers: the versions' numbers.

        Returns:
            For each number, in the same order, the labels and metrics, without any if none were stored; or an error if
            they are damaged, which concerns nothing else of the version.

        Raises:
            UnknownModel: there is no such model, if the archive can tell.
            StorageFailure: the medium failed.
        """

    def save_annotations(model_id: str, version_number: int, annotations: Annotations) -> None:
        """
        Replace a version's labels and metrics, also damaged ones.  Durable when this returns; after a crash they are as
        before or as saved.

        Args:
            model_id: the model's id.
            version_number: the version's number.
            annotations: all labels and metrics.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: there is no such version.
            StorageFull: the medium is full; nothing was changed.
            StorageReadOnly: the medium accepts no writes; nothing was changed.
            StorageFailure: the medium failed; they are as before or as saved.
        """


class IAliasJournal(Interface):
    """
    The history of the aliases of each model.  Deleted with the model.
    """

    def load_aliases(model_id: str) -> AliasState:
        """
        Return the last move of each of a model's aliases.  Must need little memory, however long the history is.

        Args:
            model_id: the model's id.  A model that does not exist has no aliases.

        Raises:
            StorageFailure: the medium failed.
        """

    def alias_moves(
        model_id: str, alias: str | None = None, before: int | None = None, limit: int | None = None
    ) -> list[AliasMove]:
        """
        Return moves of a model's aliases, in order, also those of aliases that were deleted.  Damaged ones are left
        out.  Should take only as long as what it returns, however long the history is.

        Args:
            model_id: the model's id.  A model that does not exist has no aliases.
            alias: the alias whose moves to return; ``None`` for all.
            before: return only moves with a lower sequence number; ``None`` for all.
            limit: how many moves to return, the last ones; ``None`` for all.

        Raises:
            StorageFailure: the medium failed.
        """

    def append_alias_moves(model_id: str, moves: Sequence[AliasMove]) -> None:
        """
        Add moves to the history.  Durable when this returns; after a crash, all of them have happened or none.

        Nothing is compared: the caller knows where the aliases are.  It deletes no version that an alias names.

        Args:
            model_id: the model's id.
            moves: the moves, in order.

        Raises:
            UnknownModel: there is no such model.
            StorageFull: the medium is full; nothing was changed.
            StorageReadOnly: the medium accepts no writes; nothing was changed.
            StorageFailure: the medium failed; after a restart, all of them have happened or none.
        """


class IRetentionStore(Interface):
    """
    The retention policies of models, and of prefixes of ids.
    """

    def load_retention(model_id: str) -> RetentionPolicy | None:
        """
        Return a model's own policy; ``None`` if it has none, or does not exist.

        Args:
            model_id: the model's id.

        Raises:
            CorruptRetention: the policy is damaged.
            StorageFailure: the medium failed.
        """

    def save_retention(model_id: str, policy: RetentionPolicy | None) -> None:
        """
        Replace a model's own policy, also a damaged one.  Durable when this returns; deleted with the model.

        Args:
            model_id: the model's id.
            policy: the policy; ``None`` to remove it.

        Raises:
            UnknownModel: there is no such model.
            StorageFull: the medium is full; nothing was changed.
            StorageReadOnly: the medium accepts no writes; nothing was changed.
            StorageFailure: the medium failed; the policy is as before or as saved.
        """

    def retention_prefixes() -> Mapping[str, RetentionPolicy]:
        """
        Return the policies for prefixes of model ids.

        Raises:
            CorruptRetention: they are damaged.
            StorageFailure: the medium failed.
        """

    def save_retention_prefix(prefix: str, policy: RetentionPolicy | None) -> None:
        """
        Replace the policy of a prefix.  Durable when this returns.

        Args:
            prefix: the beginning of the ids of the models concerned; may be empty.
            policy: the policy; ``None`` to remove it.

        Raises:
            InvalidRequest: the policies of all prefixes would be too large; nothing was changed.
            CorruptRetention: the policies of the prefixes are damaged, and the others would be lost.
            StorageFull: the medium is full; nothing was changed.
            StorageReadOnly: the medium accepts no writes; nothing was changed.
            StorageFailure: the medium failed; the policy is as before or as saved.
        """


class ILifecycleArchive(IVersionRemoval, IAnnotationStore, IAliasJournal, IRetentionStore):
    """
    An archive whose versions have a life after their creation, and whose writers provide ``ILifecycleWriter``.
    Optional, in addition to ``IArchive``.

    For one model, the caller never lets two of the changes here, of ``ILifecycleWriter.commit_between``, and of those
    that ``IArchive`` names overlap.
    """
