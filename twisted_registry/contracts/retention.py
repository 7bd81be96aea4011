"""
The contract of retention, for the edges and the daemon.
"""

from twisted.internet.defer import Deferred
from zope.interface import Interface

from twisted_registry.domain.retention import (
    Deleted,
    PrunedModel,
    PruneRequest,
    RetentionPolicy,
    RetentionScope,
    SkippedModel,
    ignore_deleted,
)


class IPruning(Interface):
    """
    The pruning of models, a few versions at a time.  Nothing is deleted between the steps, so a caller that goes away
    ends it.  Called in the reactor's thread.
    """

    def next() -> Deferred[PrunedModel | SkippedModel | None]:
        """
        Make the next step.  Never called before the last one has ended.

        Returns:
            Fires with versions that were deleted, or would be, which may be none; with a model of several that was left
            out; or with ``None`` at the end.  Fails with ``UnknownModel``, ``CorruptModel`` or ``CorruptRetention`` if
            only one model was to be pruned; with ``Unavailable`` if the registry is stopping; or with
            ``StorageReadOnly`` or ``StorageFailure``.
        """

    def close() -> Deferred[None]:
        """
        End it.  May be called at any time, even during a step, which is then the last one.

        Returns:
            Fires with ``None``, never fails.
        """


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

    def prune(request: PruneRequest, deleted: Deleted = ignore_deleted) -> Deferred[IPruning]:
        """
        Begin to delete the versions that policies do not keep.  A model's latest version, and those that an alias names
        or that have the label ``pin``, are kept in any case.

        Args:
            request: the models and the policy, which were checked.
            deleted: called with the versions that a step has deleted, as soon as they are.

        Returns:
            Fires with the steps, which go through the models in the order of their ids.  Fails with ``UnknownModel``,
            or with ``CorruptRetention`` if the policies of prefixes are damaged.
        """

    def apply_policies() -> Deferred[float]:
        """
        Do a small part of what the policies that are set ask for: read or delete some tens of versions.  Also notices
        what is due.  Called again and again while the registry runs, never before the last call has ended.

        Returns:
            Fires with the number of seconds after which it is to be called again; never fails.
        """

    def stop() -> None:
        """
        Delete nothing more: the registry is stopping.
        """
