"""
Models that are made, changed and deleted.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from attrs import field, frozen

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.requests import sendable_metadata, sendable_model_id
from twisted_registry.client._transport.retries import retry, retryable_within
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.models import ModelInfo, check_model_id
from twisted_registry.protocol.messages import api

Merge = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Takes the user data that a model has, and returns what it should have."""

_MOST_ROUNDS = 8
"""How often a change is made that other clients have overwritten."""

_SETTLING_SECONDS = (0.05, 0.15)
"""After how long, at random, a client looks whether others have overwritten its change: dozens may start at once."""


@frozen
class Models:
    """
    Changes models.

    The wire replaces all user data of a model at once.  So to change some of it is to read, merge and write; whatever
    another client writes between the read and the write is lost.  It is read again a moment afterwards: where another
    client has done the same, and has overwritten this change, the change is made again.
    """

    _calls: Calls
    _one_merges: asyncio.Lock = field(factory=asyncio.Lock)

    async def save(self, model_id: str, metadata: Mapping[str, str] | None) -> ModelInfo:
        """
        Make a model, or replace its user data.
        """
        info = ModelInfo(check_model_id(model_id), sendable_metadata(metadata))
        await self._write(self._calls, info)
        return info

    async def ensure(self, model_id: str, metadata: Mapping[str, str] | None) -> ModelInfo:
        """
        Make a model where there is none; give one that is there the pairs whose keys it does not have.
        """
        pairs = sendable_metadata(metadata)
        return await self._merge(check_model_id(model_id), lambda found: {**pairs, **found}, is_made=True)

    async def update(self, model_id: str, metadata: Mapping[str, str] | None, remove: Iterable[str]) -> ModelInfo:
        """
        Set and remove some of a model's user data.
        """
        pairs, removed = sendable_metadata(metadata), frozenset([remove] if isinstance(remove, str) else remove)

        def merged(found: Mapping[str, str]) -> Mapping[str, str]:
            return {key: value for key, value in {**found, **pairs}.items() if key not in removed}

        return await self._merge(sendable_model_id(model_id), merged, is_made=False)

    async def delete(self, model_id: str) -> None:
        """
        Remove a model with all its versions.
        """
        request = api.DeleteModelRequest(model_id=sendable_model_id(model_id))
        await self._calls.ask("DeleteModel", request, api.DeleteModelReply, model_id, repeatable=False)

    async def _merge(self, model_id: str, merge: Merge, is_made: bool) -> ModelInfo:
        for _ in range(_MOST_ROUNDS):
            before, info = await self._merged(model_id, merge, is_made)
            if before == info:
                break
            # Whoever has read before this write writes in this time, and overwrites it.
            await asyncio.sleep(random.uniform(*_SETTLING_SECONDS))
            merge = partial(_mended, {} if before is None else before.metadata, info.metadata)
        return info

    async def _merged(self, model_id: str, merge: Merge, is_made: bool) -> tuple[ModelInfo | None, ModelInfo]:
        retry_seconds, about = self._calls.times.retry_seconds, (self._calls.connection.address, model_id)
        attempt = partial(self._merge_once, model_id, merge, is_made)
        # One after another: in one client, no change overwrites another.
        async with self._one_merges:
            # Retried from the read on: what was merged before the server went away may be out of date.
            return await retry(attempt, retry_seconds, retryable_within(retry_seconds), about)

    async def _merge_once(self, model_id: str, merge: Merge, is_made: bool) -> tuple[ModelInfo | None, ModelInfo]:
        """
        Read, merge, and write where that changes something.

        Returns:
            what the model was, ``None`` where there was none, and what it is now.
        """
        calls = self._calls.without_retries()
        try:
            found: ModelInfo | None = await Queries(calls).model(model_id)
        except UnknownModel:
            if not is_made:
                raise
            found = None
        info = ModelInfo(model_id, merge(found.metadata if found is not None else {}))
        if info != found:
            await self._write(calls, info)
        return found, info

    async def _write(self, calls: Calls, info: ModelInfo) -> None:
        message = api.ModelInfo(model_id=info.model_id, user_data=info.metadata)
        request = api.CreateOrUpdateModelRequest(model_info=message)
        await calls.ask("CreateOrUpdateModel", request, api.CreateOrUpdateModelReply, info.model_id)


def _mended(before: Mapping[str, str], wanted: Mapping[str, str], found: Mapping[str, str]) -> Mapping[str, str]:
    """
    Make a change again where it was overwritten: there the user data has what it had before.  What has a third value
    was changed by somebody who knew of this change, and stays.
    """
    overwritten = {key for key in before.keys() | wanted.keys() if found.get(key) == before.get(key)}
    kept = {key: value for key, value in found.items() if key not in overwritten}
    return {**kept, **{key: wanted[key] for key in overwritten & wanted.keys()}}
