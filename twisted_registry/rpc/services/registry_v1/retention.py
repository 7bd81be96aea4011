"""
The calls about retention: their handlers, and their messages to values and back.
"""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from twisted_registry.application.retention import RetentionRules
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import check_model_id
from twisted_registry.domain.retention import KeepBest, PrunedModel, RetentionPolicy, RetentionScope
from twisted_registry.protocol.messages import v1
from twisted_registry.rpc.call import CallContext

_NS = 10**9


@frozen
class RetentionCalls:
    """
    The calls about retention.
    """

    _rules: RetentionRules

    async def set(self, request: Any, call: CallContext) -> Any:
        """
        Set or remove the policy of a model or a prefix.
        """
        retention = request.retention
        policy = _policy(retention.policy) if retention.HasField("policy") else None
        await self._rules.set(scope_of(retention), policy)
        return retention

    async def get(self, request: Any, call: CallContext) -> Any:
        """
        Return a policy, with the scope where it is set.
        """
        scope, policy = await self._rules.find(scope_of(request))
        reply = v1.Retention(policy=None if policy is None else _policy_message(policy))
        if scope.model_id is None:
            reply.prefix = scope.prefix
        else:
            reply.model_id = scope.model_id
        return reply

    async def prune(self, request: Any, call: CallContext) -> Any:
        """
        Delete the versions that are not kept, or report them.
        """
        policy = _policy(request.policy) if request.HasField("policy") else None
        return _pruned(await self._rules.prune(scope_of(request), policy, dry_run=request.dry_run))


def scope_of(message: Any) -> RetentionScope:
    """
    Read the scope of a request.

    Raises:
        InvalidRequest: it has none.
        InvalidModelId: it names a model that cannot exist.
    """
    match message.WhichOneof("scope"):
        case "model_id":
            return RetentionScope(check_model_id(message.model_id))
        case "prefix":
            return RetentionScope(None, message.prefix)
    raise InvalidRequest("the request names neither a model nor a prefix; set model_id, or prefix")


def _policy(message: Any) -> RetentionPolicy:
    age = message.keep_younger_than
    return RetentionPolicy(
        keep_last=message.keep_last,
        keep_best=tuple(KeepBest(rule.metric, rule.count, rule.lowest) for rule in message.keep_best),
        keep_every=message.keep_every,
        younger_than_seconds=age.seconds + age.nanos / _NS,
    )


def _policy_message(policy: RetentionPolicy) -> Any:
    message = v1.RetentionPolicy(
        keep_last=policy.keep_last,
        keep_best=[v1.KeepBest(metric=rule.metric, count=rule.count, lowest=rule.lowest) for rule in policy.keep_best],
        keep_every=policy.keep_every,
    )
    if policy.younger_than_seconds:
        seconds = int(policy.younger_than_seconds)
        message.keep_younger_than.seconds = seconds
        message.keep_younger_than.nanos = round((policy.younger_than_seconds - seconds) * _NS)
    return message


def _pruned(models: Sequence[PrunedModel]) -> Any:
    entries = [
        v1.PrunedModel(model_id=each.model_id, numbers=sorted(each.plan.sizes), size_bytes=each.plan.size_bytes)
        for each in models
    ]
    return v1.PruneResponse(
        models=entries,
        version_count=sum(len(each.plan.sizes) for each in models),
        size_bytes=sum(each.plan.size_bytes for each in models),
    )
