"""
Retention: policies set and found, and versions pruned on request.
"""

from collections.abc import AsyncGenerator

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import MAX_MODEL_ID_BYTES
from twisted_registry.domain.retention import (
    Deleted,
    PrunedModel,
    PruneRequest,
    RetentionPolicy,
    RetentionScope,
    SkippedModel,
    check_policy,
    ignore_deleted,
)


@frozen
class RetentionRules:
    """
    The retention policies of a registry.
    """

    _queries: Queries

    async def set(self, scope: RetentionScope, policy: RetentionPolicy | None) -> None:
        """
        Replace a policy; ``None`` removes it.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed.
            UnknownModel: there is no such model.
        """
        _check_scope(scope)
        if policy is not None:
            check_policy(policy)
        retention = self._queries.registry.retention
        await self._queries.runtime.call(lambda: retention.set_policy(scope, policy))

    async def find(self, scope: RetentionScope) -> tuple[RetentionScope, RetentionPolicy | None]:
        """
        Find the policy of a prefix, or the one that applies to a model; see ``IRetention.find_policy``.

        Raises:
            InvalidRequest: the prefix is not allowed.
            UnknownModel: there is no such model.
            CorruptRetention: the policy is damaged.
        """
        _check_scope(scope)
        retention = self._queries.registry.retention
        return await self._queries.runtime.call(lambda: retention.find_policy(scope))

    async def prune(
        self, request: PruneRequest, deleted: Deleted = ignore_deleted
    ) -> AsyncGenerator[PrunedModel | SkippedModel, None]:
        """
        Delete the versions that policies do not keep, for as long as the caller asks for more; see
        ``IRetention.prune``.

        Args:
            deleted: called in the reactor's thread with the versions of each step, also if the caller has gone.

        Yields:
            Versions that were deleted, or would be; and, of several models, those that were left out.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed.
            UnknownModel: there is no such model.
            CorruptRetention: a policy is damaged.
            Unavailable: the registry is stopping.
        """
        _check_scope(request.scope)
        if request.policy is not None:
            check_policy(request.policy)
        runtime, retention = self._queries.runtime, self._queries.registry.retention
        pruning = await runtime.call(lambda: retention.prune(request, deleted))
        try:
            while (step := await runtime.call(pruning.next)) is not None:
                if isinstance(step, SkippedModel) or step.plan.sizes:
                    yield step
        finally:
            # Not awaited: if the caller was cancelled, it is gone.
            runtime.start(pruning.close, lambda: None)


def _check_scope(scope: RetentionScope) -> None:
    if len(scope.prefix.encode()) > MAX_MODEL_ID_BYTES:
        raise InvalidRequest(f"the prefix has more than {MAX_MODEL_ID_BYTES} bytes; no model id is so long")
