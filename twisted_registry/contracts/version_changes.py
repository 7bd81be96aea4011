"""
The contract of changes to versions after their creation, for the edges.
"""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from twisted_registry.domain.aliases import AliasChange, AliasMove
from twisted_registry.domain.annotations import AnnotationUpdate
from twisted_registry.domain.errors import Unreadable
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot


class IVersionChanges(Interface):
    """
    Changes of versions: promotion, deletion, annotations and aliases.  Called in the reactor's thread.

    All of them fail with ``UnknownModel`` if the snapshot's model is not there, with ``UnknownVersion`` if the version
    is not, with ``UnsupportedByArchive`` if the archive cannot do it, and with ``StorageFull``, ``StorageReadOnly`` or
    ``StorageFailure`` if its medium fails.  What they have changed is durable, and readers see it, before they fire.
    """

    def archive_version(snapshot: ModelSnapshot, version_number: int) -> Deferred[VersionInfo]:
        """
        Move a transient version to the archive, with the same number and data.  Does nothing to an archived one.

        Args:
            snapshot: the version's model.
            version_number: the version's number.

        Returns:
            Fires with the info of the archived version; fails with ``CommitUncertain`` if it may be archived after a
            restart.
        """

    def delete_version(snapshot: ModelSnapshot, version_number: int) -> Deferred[None]:
        """
        Delete a version.  Its number is not used again.  Downloads under way end with all data.

        Args:
            snapshot: the version's model.
            version_number: the version's number.

        Returns:
            Fires with ``None``; fails with ``AliasedVersion`` if an alias names the version, or with
            ``CorruptAliases`` if nobody knows whether one does.
        """

    def annotate_version(
        snapshot: ModelSnapshot, version_number: int, update: AnnotationUpdate
    ) -> Deferred[VersionRecord]:
        """
        Change the labels and metrics of a version.

        Args:
            snapshot: the version's model.
            version_number: the version's number.
            update: what to change.

        Returns:
            Fires with the version as it is then; fails with ``InvalidRequest`` if the result is too large, with
            ``CorruptVersion`` if the version is damaged, or with ``CorruptAnnotations`` if its labels and metrics are,
            and the update does not replace all of them.
        """

    def move_alias(snapshot: ModelSnapshot, change: AliasChange) -> Deferred[AliasMove]:
        """
        Point an alias at another version, or delete it.  A transient version is archived first.

        Args:
            snapshot: the alias's model.
            change: the alias, and the version that it is to name.

        Returns:
            Fires with the move, or with the last one if the alias names the version already.  If the same request was
            made before, fires with its move, and changes nothing.  Fails with ``AliasMoved`` if the alias does not name
            the expected version, with ``UnknownAlias`` if there is nothing to delete, with ``TooManyAliases``, or with
            ``InvalidRequest`` if another request had the same id.
        """

    def alias_moves(
        snapshot: ModelSnapshot, alias: str | None = None, before: int | None = None, limit: int | None = None
    ) -> Deferred[Sequence[AliasMove]]:
        """
        Read moves of a model's aliases, also of those that were deleted; see ``IAliasJournal.alias_moves``.

        Args:
            snapshot: the model.
            alias: one alias; ``None`` for all.
            before: read only moves with a lower sequence number; ``None`` for all.
            limit: how many moves to read, the last ones; ``None`` for all.

        Returns:
            Fires with the moves in their order.
        """

    def load_version_records(
        snapshot: ModelSnapshot, version_numbers: Sequence[int]
    ) -> Deferred[list[VersionRecord | Unreadable]]:
        """
        Read versions with their labels, metrics and aliases.

        Args:
            snapshot: the versions' model.
            version_numbers: the versions' numbers.

        Returns:
            Fires with an entry for each number: a version, or the error if it is damaged.  If its labels and metrics
            alone are damaged, it has none.
        """
