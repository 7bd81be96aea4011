"""
Methods of the client that are about retention.
"""

from twisted_registry.client._types import Pruned, PruneProgress, Retention
from twisted_registry.client.methods.base import MethodsBase
from twisted_registry.domain.retention import RetentionPolicy


class RetentionMethods(MethodsBase):
    """
    The methods of a client that are about retention.
    """

    async def set_retention(
        self, model_id: str | None = None, *, prefix: str | None = None, policy: RetentionPolicy | None
    ) -> None:
        """
        Set the retention policy of a model, or of all models whose ids begin with a prefix.

        A policy of a model takes precedence over that of a prefix, and a longer prefix over a shorter one.  The server
        deletes in the background the versions that no rule keeps.  It never deletes a model's latest version, a version
        that an alias names, or one with the label ``pin``.

        Args:
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; empty for all models; ``None`` if a model is given.
            policy: the policy; ``None`` to remove the one that is set.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            StorageFull: the server's disk is full.
            UnsupportedByArchive: the server's archive cannot store policies.
            Unsupported: the server does not have this call.
        """
        await self._session.retention.set(policy, model_id, prefix)

    async def retention(self, model_id: str | None = None, *, prefix: str | None = None) -> Retention:
        """
        Return the retention policy that applies to a model, or that is set for a prefix.

        Args:
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; ``None`` if a model is given.

        Returns:
            The policy, and where it is set.

        Raises:
            InvalidRequest: the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            CorruptRetention: the policy is damaged.
            Unsupported: the server does not have this call.
        """
        return await self._session.retention.get(model_id, prefix)

    async def prune(
        self,
        model_id: str | None = None,
        *,
        prefix: str | None = None,
        policy: RetentionPolicy | None = None,
        dry_run: bool = False,
        only: Pruned | None = None,
        progress: PruneProgress | None = None,
    ) -> Pruned:
        """
        Delete the versions that the retention policies do not keep, and wait until that is done.

        If this is cancelled, the server deletes no more than some tens of further versions.  If the connection is lost,
        it fails with ``Unavailable`` and is not retried, because the result would lack what was deleted before;
        ``progress`` knows that.

        Args:
            model_id: the model; ``None`` if a prefix is given.
            prefix: the beginning of the models' ids; empty for all models; ``None`` if a model is given.
            policy: the policy to use; ``None`` for those that are set.
            dry_run: only report what would be deleted.
            only: what a dry run has reported: nothing else is deleted, and of these versions only those that the policy
                still does not keep.
            progress: if given, it is called with the versions that were deleted since its last call, of one model each
                time.

        Returns:
            The versions that were, or would be, deleted; and the models of a prefix that were left out because they
            were deleted meanwhile, or are damaged.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed; or neither a model nor a prefix is given, or both.
            UnknownModel: there is no such model.
            CorruptRetention: the policy is damaged.
            Unavailable: the connection was lost, or the server is stopping; some versions may be deleted.
            Unsupported: the server does not have this call.
        """
        return await self._session.retention.prune(model_id, prefix, policy, dry_run, only, progress)
