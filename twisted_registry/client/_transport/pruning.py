"""
The stream of what a server prunes.
"""

from typing import Any, Final

from attrs import define, field, frozen
from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs leave it out

from twisted_registry.client._transport.calls import Calls, cancel_call, decoded
from twisted_registry.client._transport.connection import registry_method
from twisted_registry.client._transport.records import check_number
from twisted_registry.client._transport.registry_api import unsupported
from twisted_registry.client._transport.replies import bad_reply, check_size
from twisted_registry.client._types import Pruned, PrunedModel, PruneProgress, SkippedModel
from twisted_registry.client.errors import Unreachable, Unsupported
from twisted_registry.domain.models import MAX_ENTRIES
from twisted_registry.protocol.messages import v1

_PRUNE_SECONDS: Final = 24 * 60 * 60.0
"""How long a call may take in all."""


@define
class _Model:
    numbers: list[int] = field(factory=list)
    size_bytes: int = 0


@define
class PrunedParts:
    """
    The parts of an answer, added up.

    Attributes:
        model_id: the model that was asked for; ``None`` for those of a prefix.
    """

    model_id: str | None
    _prefix: str
    _progress: PruneProgress | None = None
    _models: dict[str, _Model] = field(factory=dict)
    _skipped: list[SkippedModel] = field(factory=list)

    @property
    def is_empty(self) -> bool:
        """
        True if nothing was added.
        """
        return not self._models

    def clear(self) -> None:
        """
        Forget all parts.
        """
        self._models.clear()
        self._skipped.clear()

    def add(self, message: "v1.PruneResponse") -> int:
        """
        Add a part.

        Returns:
            how many versions it names.

        Raises:
            BadReply: it is about another model, or has impossible numbers.
        """
        found = [self._model(model) for model in message.models]
        self._skipped.extend(
            SkippedModel(skipped.model_id, skipped.reason, skipped.message) for skipped in message.skipped
        )
        for part in found:
            model = self._models.setdefault(part.model_id, _Model())
            model.numbers.extend(part.numbers)
            model.size_bytes += part.size_bytes
            if self._progress is not None:
                self._progress(part)
        return sum(len(part.numbers) for part in found)

    def _model(self, message: "v1.PrunedModel") -> PrunedModel:
        found = message.model_id
        if not found or self.model_id not in (None, found) or not found.startswith(self._prefix):
            raise bad_reply(f"it pruned model {found[:200]!r}", self.model_id or "")
        for number in message.numbers:
            check_number(number, found)
        return PrunedModel(found, tuple(message.numbers), message.size_bytes)

    def pruned(self) -> Pruned:
        """
        Return what all parts say.
        """
        models = tuple(
            PrunedModel(model_id, tuple(model.numbers), model.size_bytes) for model_id, model in self._models.items()
        )
        count = sum(len(model.numbers) for model in models)
        return Pruned(models, count, sum(model.size_bytes for model in models), tuple(self._skipped))


@frozen
class PruneStream:
    """
    One call that prunes.  If it is cancelled, the server stops within a few versions.
    """

    _calls: Calls
    _request: "v1.PruneRequest"
    _parts: PrunedParts

    async def run(self) -> None:
        """
        Make the call, and add all its parts.

        Raises:
            Unsupported: the server does not have the call.
            BadReply: the answer does not fit the request.
            RegistryError: the error that the server raised.
        """
        connection = self._calls.connection
        try:
            with connection.translating_errors(self._parts.model_id or ""):
                method = connection.method(registry_method("Prune"))
                call = method(self._request.SerializeToString(), timeout=_PRUNE_SECONDS, metadata=connection.metadata)
            try:
                await self._read(call)
            finally:
                cancel_call(call)
        except Unreachable as error:
            raise await connection.diagnosed(error) from None
        except Unsupported:
            raise unsupported("Prune") from None

    async def _read(self, call: Any) -> None:
        connection, model_id, count = self._calls.connection, self._parts.model_id or "", 0
        while True:
            with connection.translating_errors(model_id):
                raw = await call.read()
            if raw is EOF:
                await connection.memory.learn(call)
                return
            check_size(raw, MAX_ENTRIES, model_id)
            part = decoded(v1.PruneResponse, raw)
            count += self._parts.add(part)
            if count != part.version_count:
                raise bad_reply(f"it sent {count} numbers of {part.version_count} versions", model_id)
