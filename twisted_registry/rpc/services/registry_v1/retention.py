"""
The calls about retention: their handlers, and their messages to values and back.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from attrs import frozen

from twisted_registry.application.retention import RetentionRules
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import check_model_id
from twisted_registry.domain.retention import (
    KeepBest,
    PrunedModel,
    PruneRequest,
    RetentionPolicy,
    RetentionScope,
    SkippedModel,
)
from twisted_registry.protocol.error_map import reason_of
from twisted_registry.protocol.messages import v1
from twisted_registry.rpc.budgets import ReplyBudget
from twisted_registry.rpc.call import CallContext

_NS = 10**9


@frozen
class RetentionCalls:
    """
    The calls about retention.
    """

    _rules: RetentionRules
    _reply_budget: ReplyBudget

    async def set(self, request: Any, call: CallContext) -> Any:
        """
        Set or remove the policy of a model or a prefix.
        """
        retention = request.retention
        policy = _policy(retention.policy) if retention.HasField("policy") else None
        scope = scope_of(retention)
        call.note(**_scope_facts(scope))
        await self._rules.set(scope, policy)
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

    async def prune(self, request: Any, call: CallContext) -> None:
        """
        Delete the versions that are not kept, or report them, and send what was done.
        """
        count, size_bytes = 0, 0
        wanted = _prune_request(request)
        call.note(**_scope_facts(wanted.scope), dry_run=wanted.dry_run)

        def deleted(model_id: str, numbers: Sequence[int]) -> None:
            call.report("deleted", {"model_id": model_id, "version_numbers": numbers})

        async with aclosing(self._rules.prune(wanted, deleted)) as steps:
            async for step in steps:
                if isinstance(step, PrunedModel):
                    count, size_bytes = count + len(step.plan.sizes), size_bytes + step.plan.size_bytes
                    call.note(version_count=count, size_bytes=size_bytes)
                part = v1.PruneResponse(version_count=count, size_bytes=size_bytes)
                _add_step(part, step)
                await self._reply_budget.write(call, part.SerializeToString())


def _scope_facts(scope: RetentionScope) -> Mapping[str, str]:
    return {"prefix": scope.prefix} if scope.model_id is None else {"model_id": scope.model_id}


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


def _prune_request(request: Any) -> PruneRequest:
    policy = _policy(request.policy) if request.HasField("policy") else None
    only: dict[str, list[int]] = {}
    for model in request.only:
        only.setdefault(model.model_id, []).extend(model.numbers)
    return PruneRequest(scope_of(request), policy, request.dry_run, only or None)


def _add_step(part: Any, step: PrunedModel | SkippedModel) -> None:
    if isinstance(step, PrunedModel):
        part.models.add(model_id=step.model_id, numbers=step.plan.numbers, size_bytes=step.plan.size_bytes)
    else:
        part.skipped.add(model_id=step.model_id, reason=reason_of(step.error), message=str(step.error))
