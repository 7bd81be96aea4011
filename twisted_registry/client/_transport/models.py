"""
Creation, change and deletion of models.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

from attrs import field, frozen

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.model_records import ModelRecords
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.requests import sendable_metadata, sendable_model_id, sendable_text
from twisted_registry.client._transport.retries import retry, retryable_within
from twisted_registry.client.errors import UnknownModel, Unsupported
from twisted_registry.domain.models import ModelInfo, check_model_id
from twisted_registry.domain.records import ModelRecord
from twisted_registry.protocol.messages import api

Merge = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Returns the metadata that a model should have, given the metadata that it has."""

_MOST_ROUNDS = 8
"""How often a change is repeated if other clients overwrite it."""

_SETTLING_SECONDS = (0.05, 0.15)
"""After how long a client checks whether others have overwritten its change; random, as dozens may start at once."""


@frozen
class Models:
    """
    Calls that change models.

    Cogment's service replaces all metadata of a model at once.  So on servers without ``twisted_registry.v1``, a change
    of some pairs reads, merges and writes, and overwrites what another client writes between its read and its write.
    Therefore each client reads once more soon after its write, and repeats its change if another client has overwritten
    it.
    """

    _calls: Calls
    _records: ModelRecords
    _merging: asyncio.Lock = field(factory=asyncio.Lock)

    async def save(self, model_id: str, metadata: Mapping[str, str] | None) -> ModelInfo:
        """
        Create a model, or replace its metadata.
        """
        info = ModelInfo(check_model_id(model_id), sendable_metadata(metadata))
        await self._write(self._calls, info)
        return info

    async def ensure(self, model_id: str, metadata: Mapping[str, str] | None) -> ModelInfo:
        """
        Create a model, or add those pairs to an existing model whose keys it does not have.
        """
        pairs = sendable_metadata(metadata)
        check_model_id(model_id)
        with suppress(Unsupported):
            return _info(await self._records.ensure(model_id, pairs))
        return await self._merge(model_id, lambda found: {**pairs, **found}, creates=True)

    async def update(
        self, model_id: str, metadata: Mapping[str, str] | None, remove: Iterable[str], etag: str
    ) -> ModelInfo:
        """
        Set and remove some of a model's metadata.
        """
        removed = frozenset([remove] if isinstance(remove, str) else remove)
        sendable_metadata(dict.fromkeys(removed, ""))
        pairs = {key: value for key, value in sendable_metadata(metadata).items() if key not in removed}
        try:
            return _info(await self._records.update(model_id, pairs, removed, sendable_text(etag, "etag")))
        except Unsupported:
            if etag:
                raise

        def merged(found: Mapping[str, str]) -> Mapping[str, str]:
            return {key: value for key, value in {**found, **pairs}.items() if key not in removed}

        return await self._merge(sendable_model_id(model_id), merged, creates=False)

    async def delete(self, model_id: str) -> None:
        """
        Delete a model with all its versions.
        """
        request = api.DeleteModelRequest(model_id=sendable_model_id(model_id))
        await self._calls.call("DeleteModel", request, api.DeleteModelReply, model_id, repeatable=False)

    async def _merge(self, model_id: str, merge: Merge, creates: bool) -> ModelInfo:
        for _ in range(_MOST_ROUNDS):
            before, info = await self._merged(model_id, merge, creates)
            if before == info:
                break
            # A client that read before this write overwrites it within this time.
            await asyncio.sleep(random.uniform(*_SETTLING_SECONDS))
            merge = partial(_repeated, {} if before is None else before.metadata, info.metadata)
        return info

    async def _merged(self, model_id: str, merge: Merge, creates: bool) -> tuple[ModelInfo | None, ModelInfo]:
        retry_seconds, about = self._calls.options.retry_seconds, (self._calls.connection.address, model_id)
        attempt = partial(self._merge_once, model_id, merge, creates)
        # Within one client, changes do not overwrite one another.
        async with self._merging:
            # Retried from the read on: the metadata may have changed while the server was away.
            return await retry(attempt, retry_seconds, retryable_within(retry_seconds), about)

    async def _merge_once(self, model_id: str, merge: Merge, creates: bool) -> tuple[ModelInfo | None, ModelInfo]:
        """
        Read, merge, and write if something changes.

        Returns:
            The model before, ``None`` if it did not exist, and the model after.
        """
        calls = self._calls.without_retries()
        try:
            found: ModelInfo | None = await Queries(calls).model(model_id)
        except UnknownModel:
            if not creates:
                raise
            found = None
        info = ModelInfo(model_id, merge(found.metadata if found is not None else {}))
        if info != found:
            await self._write(calls, info)
        return found, info

    async def _write(self, calls: Calls, info: ModelInfo) -> None:
        message = api.ModelInfo(model_id=info.model_id, user_data=info.metadata)
        request = api.CreateOrUpdateModelRequest(model_info=message)
        await calls.call("CreateOrUpdateModel", request, api.CreateOrUpdateModelReply, info.model_id)


def _info(record: ModelRecord) -> ModelInfo:
    return ModelInfo(record.model_id, record.metadata)


def _repeated(before: Mapping[str, str], wanted: Mapping[str, str], found: Mapping[str, str]) -> Mapping[str, str]:
    """
    Repeat a change for the keys that have their former value again.  A third value comes from a client that has read
    this change, and stays.
    """
    overwritten = {key for key in before.keys() | wanted.keys() if found.get(key) == before.get(key)}
    kept = {key: value for key, value in found.items() if key not in overwritten}
    return {**kept, **{key: wanted[key] for key in overwritten & wanted.keys()}}
