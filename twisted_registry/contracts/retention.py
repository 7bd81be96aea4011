"""
The contract of retention, for the edges and the daemon.
"""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from twisted_registry.domain.retention import PrunedModel, RetentionPolicy, RetentionScope


class IRetention(Interface):
    """
    Retention policies, and the deletion of the versions that they do not keep.  Called in the reactor's thread.

    All calls but ``apply_policies`` fail with ``UnsupportedByArchive`` if the archive keeps no policies, and with
    ``StorageFull``, ``StorageReadOnly`` or ``StorageFailure`` if its medium fails.
    """

    def set_policy(scope: RetentionScope, policy: RetentionPolicy | None) -> Deferred[None]:
        """
        Replace the policy of a model or a prefix, also a damaged one of a model.

        Args:
            scope: what the policy is for.
            policy: the policy, which was checked; ``None`` to remove it.

        Returns:
            Fires with ``None`` when that is durable, and no version is deleted by an earlier policy any more; fails
            with ``UnknownModel``, with ``CorruptRetention`` if the policies of prefixes are damaged, or with
            ``InvalidRequest`` if there are too many of them.
        """

    def find_policy(scope: RetentionScope) -> Deferred[tuple[RetentionScope, RetentionPolicy | None]]:
        """
        Find a policy: that of a prefix, or the one that applies to a model, which may be that of a prefix.

        Args:
            scope: the model or the prefix.

        Returns:
            Fires with the scope where the policy is set, and with the policy; or with the same scope and ``None`` if
            there is none.  Fails with ``UnknownModel``, or with ``CorruptRetention``.
        """

    def prune(
        scope: RetentionScope, policy: RetentionPolicy | None, dry_run: bool = False
    ) -> Deferred[Sequence[PrunedModel]]:
        """
        Delete the versions that policies do not keep.  A model's latest version, and those that an alias names or that
        have the label ``pin``, are kept in any case.

        Args:
            scope: the model, or the models.
            policy: used instead of those that are set; ``None`` for those.  It was checked.
            dry_run: delete nothing.

        Returns:
            Fires with what was deleted, or would be, of each model that has such versions, sorted by id; fails with
            ``UnknownModel``, or with ``CorruptRetention``.
        """

    def apply_policies() -> Deferred[float]:
        """
        Do a small part of what the policies that are set ask for: read or delete some tens of versions.  Also notices
        what is due.  Called again and again while the registry runs, never before the last call has ended.

        Returns:
            Fires with the number of seconds after which it is to be called again; never fails.
        """
