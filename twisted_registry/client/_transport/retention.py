"""
Calls about retention.
"""

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from twisted_registry.client._transport.pruning import PrunedParts, PruneStream
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client._transport.requests import sendable_text
from twisted_registry.client._transport.retries import is_safe_to_retry, retry, retryable_within
from twisted_registry.client._types import Pruned, PruneProgress, Retention
from twisted_registry.client.errors import InvalidRequest
from twisted_registry.domain.retention import KeepBest, RetentionPolicy, check_policy
from twisted_registry.protocol.messages import v1

_NS = 10**9

_NUMBERS_AT_ONCE = 200_000
_MODELS_AT_ONCE = 2000
"""The most versions and models in a request, which has at most 4 MiB."""


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
        self,
        model_id: str | None,
        prefix: str | None,
        policy: RetentionPolicy | None,
        dry_run: bool,
        only: Pruned | None = None,
        progress: PruneProgress | None = None,
    ) -> Pruned:
        """
        Delete the versions that a policy does not keep, or only report them.
        """
        request = v1.PruneRequest(dry_run=dry_run, **_scope(model_id, prefix))
        if policy is not None:
            request.policy.CopyFrom(_message(check_policy(policy)))
        parts = PrunedParts(model_id, prefix or "", progress)
        for models in [()] if only is None else _pieces(only):
            del request.only[:]
            request.only.extend(models)
            await self._prune(request, parts)
        return parts.pruned()

    async def _prune(self, request: "v1.PruneRequest", parts: PrunedParts) -> None:
        async def attempt() -> None:
            if request.dry_run:
                parts.clear()
            call = PruneStream(self._api.calls, request, parts)
            await call.run()

        def is_retryable(error: BaseException) -> bool:
            # Repeated after a lost answer, it would report less than was deleted.
            return can_repeat(error) if request.dry_run else parts.is_empty and is_safe_to_retry(error)

        seconds = self._api.calls.options.retry_seconds
        can_repeat = retryable_within(seconds)
        await retry(attempt, seconds, is_retryable, (self._api.calls.connection.address, parts.model_id or ""))


def _pieces(only: Pruned) -> Iterator[list[Any]]:
    """
    Divide the versions of a dry run into requests that are not too large.
    """
    piece: list[Any] = []
    count = 0
    for model in only.models:
        for start in range(0, len(model.numbers), _NUMBERS_AT_ONCE):
            numbers = model.numbers[start : start + _NUMBERS_AT_ONCE]
            if piece and (count + len(numbers) > _NUMBERS_AT_ONCE or len(piece) >= _MODELS_AT_ONCE):
                yield piece
                piece, count = [], 0
            piece.append(v1.PrunedModel(model_id=model.model_id, numbers=numbers))
            count += len(numbers)
    if piece:
        yield piece


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
