"""
Retention: policies set and found, and versions pruned on request.
"""

from collections.abc import Sequence

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import MAX_MODEL_ID_BYTES
from twisted_registry.domain.retention import PrunedModel, RetentionPolicy, RetentionScope, check_policy

_MAX_NUMBERS = 500_000
"""The most version numbers in a reply, which must fit into a message of 4 MiB."""


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
        self, scope: RetentionScope, policy: RetentionPolicy | None, *, dry_run: bool
    ) -> Sequence[PrunedModel]:
        """
        Delete the versions that policies do not keep; see ``IRetention.prune``.

        Args:
            dry_run: delete nothing.

        Raises:
            InvalidRequest: the policy or the prefix is not allowed, or the reply would be too large.
            UnknownModel: there is no such model.
            CorruptRetention: a policy is damaged.
        """
        _check_scope(scope)
        if policy is not None:
            check_policy(policy)
        retention = self._queries.registry.retention
        pruned = await self._queries.runtime.call(lambda: retention.prune(scope, policy, dry_run))
        count = sum(len(each.plan.sizes) for each in pruned)
        if count > _MAX_NUMBERS:
            done = "would be" if dry_run else "were"
            raise InvalidRequest(
                f"{count} versions {done} deleted, more than a reply can list ({_MAX_NUMBERS}); name a longer prefix"
            )
        return pruned


def _check_scope(scope: RetentionScope) -> None:
    if len(scope.prefix.encode()) > MAX_MODEL_ID_BYTES:
        raise InvalidRequest(f"the prefix has more than {MAX_MODEL_ID_BYTES} bytes; no model id is so long")
