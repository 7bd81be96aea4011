"""
Calls about retention.
"""

from typing import Any

from attrs import frozen

from twisted_registry.client._transport.records import check_number
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client._transport.requests import sendable_text
from twisted_registry.client._types import Pruned, PrunedModel, Retention
from twisted_registry.client.errors import InvalidRequest
from twisted_registry.domain.models import MAX_ENTRIES
from twisted_registry.domain.retention import KeepBest, RetentionPolicy, check_policy
from twisted_registry.protocol.messages import v1

_NS = 10**9

_PRUNE_SECONDS = 24 * 60 * 60.0
"""How long the answer to a prune may take: it comes when all versions are deleted."""


@frozen
class RetentionCalls:
    """
    Calls that set and apply retention policies.
    """

    _api: RegistryApi

    async def set(self, policy: RetentionPolicy | None, model_id: str | None, prefix: str | None) -> None:
        """
        Set a policy, or remove it.
        """
        message = v1.Retention(**_scope(model_id, prefix))
        if policy is not None:
            message.policy.CopyFrom(_message(check_policy(policy)))
        request = v1.SetRetentionRequest(retention=message)
        await self._api.call("SetRetention", request, v1.Retention, model_id or "")

    async def get(self, model_id: str | None, prefix: str | None) -> Retention:
        """
        Return the policy that applies to a model, or that is set for a prefix.
        """
        request = v1.GetRetentionRequest(**_scope(model_id, prefix))
        reply = await self._api.call("GetRetention", request, v1.Retention, model_id or "")
        match reply.WhichOneof("scope"):
            case "model_id" if reply.model_id == model_id:
                return Retention(_policy(reply), model_id, None)
            case "prefix" if (model_id or prefix or "").startswith(reply.prefix):
                return Retention(_policy(reply), None, reply.prefix)
        raise bad_reply("it sent the retention policy of another model or prefix", model_id or "")

    async def prune(
        self, model_id: str | None, prefix: str | None, policy: RetentionPolicy | None, dry_run: bool
    ) -> Pruned:
        """
        Delete the versions that a policy does not keep, or only report them.
        """
        request = v1.PruneRequest(dry_run=dry_run, **_scope(model_id, prefix))
        if policy is not None:
            request.policy.CopyFrom(_message(check_policy(policy)))
        api = RegistryApi(self._api.calls.with_deadline(_PRUNE_SECONDS))
        # Repeated after a lost answer, it would report less than was deleted.
        reply = await api.call("Prune", request, v1.PruneResponse, model_id or "", repeatable=dry_run, most=MAX_ENTRIES)
        models = tuple(_pruned_model(message, model_id, prefix or "") for message in reply.models)
        count = sum(len(model.numbers) for model in models)
        if count != reply.version_count:
            raise bad_reply(f"it sent {count} numbers of {reply.version_count} versions", model_id or "")
        return Pruned(models, count, reply.size_bytes)


def _scope(model_id: str | None, prefix: str | None) -> Any:
    """
    Return the scope of a request.

    Raises:
        InvalidRequest: it is not one model or one prefix.
    """
    if model_id is not None and prefix is None:
        return {"model_id": sendable_text(model_id, "model_id")}
    if prefix is not None and model_id is None:
        return {"prefix": sendable_text(prefix, "prefix")}
    raise InvalidRequest("name one model, or the prefix of the ids of several; prefix='' means all models")


def _message(policy: RetentionPolicy) -> Any:
    message = v1.RetentionPolicy(keep_last=policy.keep_last, keep_every=policy.keep_every)
    for rule in policy.keep_best:
        metric = sendable_text(rule.metric, "metric")
        message.keep_best.add(metric=metric, count=rule.count, lowest=rule.lowest)
    if policy.younger_than_seconds:
        message.keep_younger_than.FromNanoseconds(round(policy.younger_than_seconds * _NS))
    return message


def _policy(reply: "v1.Retention") -> RetentionPolicy | None:
    if not reply.HasField("policy"):
        return None
    message = reply.policy
    age = message.keep_younger_than
    return RetentionPolicy(
        message.keep_last,
        tuple(KeepBest(rule.metric, rule.count, rule.lowest) for rule in message.keep_best),
        message.keep_every,
        age.seconds + age.nanos / _NS,
    )


def _pruned_model(message: "v1.PrunedModel", model_id: str | None, prefix: str) -> PrunedModel:
    found = message.model_id
    if not found or model_id not in (None, found) or not found.startswith(prefix):
        raise bad_reply(f"it pruned model {found[:200]!r}", model_id or "")
    for number in message.numbers:
        check_number(number, found)
    return PrunedModel(found, tuple(message.numbers), message.size_bytes)
