"""
Calls of ``twisted_registry.v1`` about models.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Any

from attrs import frozen

from twisted_registry.client._transport.pages import PAGE, entries, set_place, with_place
from twisted_registry.client._transport.records import model_record
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client._transport.requests import sendable_model_id, sendable_text
from twisted_registry.client.errors import EtagChanged, UnknownModel
from twisted_registry.domain.masks import mask_key
from twisted_registry.domain.records import ModelRecord
from twisted_registry.protocol.messages import v1

_MOST_ROUNDS = 100
"""How often a change is repeated because other clients have changed the model meanwhile."""

_MOST_PAUSE_SECONDS = 0.05


@frozen
class ModelRecords:
    """
    Calls that read and change models, each in one step of the server.
    """

    _api: RegistryApi

    async def get(self, model_id: str) -> ModelRecord:
        """
        Return a model's record.
        """
        request = v1.GetModelRequest(model_id=sendable_model_id(model_id))
        return model_record(await self._api.call("GetModel", request, v1.Model, model_id), model_id)

    async def ensure(self, model_id: str, pairs: Mapping[str, str]) -> ModelRecord:
        """
        Create a model, or add those pairs to an existing model whose keys it does not have.

        Args:
            model_id: the model.
            pairs: the metadata.
        """
        request = v1.CreateModelRequest(model=v1.Model(model_id=model_id, metadata=pairs), allow_existing=True)
        for _ in range(_MOST_ROUNDS):
            record = model_record(await self._api.call("CreateModel", request, v1.Model, model_id), model_id)
            missing = {key: value for key, value in pairs.items() if key not in record.metadata}
            if not missing:
                return record
            try:
                return await self._update(model_id, missing, (), record.etag)
            except (EtagChanged, UnknownModel):
                # Another client has changed or deleted the model, or the answer to this change was lost.
                await asyncio.sleep(random.uniform(0, _MOST_PAUSE_SECONDS))
        raise bad_reply(f"the model changed {_MOST_ROUNDS} times meanwhile", model_id)

    async def update(self, model_id: str, pairs: Mapping[str, str], removed: Collection[str], etag: str) -> ModelRecord:
        """
        Set some metadata of a model, and remove some.

        Args:
            model_id: the model.
            pairs: the pairs to set.
            removed: the keys to remove.
            etag: the etag that the model must have; empty for any.
        """
        sendable_model_id(model_id)
        if not etag:
            return await self._update(model_id, pairs, removed, "")
        once = ModelRecords(self._api.without_retries())

        async def act() -> ModelRecord:
            return await once._update(model_id, pairs, removed, etag)

        async def find_out() -> ModelRecord | None:
            record = await once.get(model_id)
            return record if _has_changed(record, pairs, removed) else None

        return await self._api.repeat(act, find_out, model_id, (EtagChanged,))

    async def _update(
        self, model_id: str, pairs: Mapping[str, str], removed: Collection[str], etag: str
    ) -> ModelRecord:
        request = v1.UpdateModelRequest(model=v1.Model(model_id=model_id, metadata=pairs, etag=etag))
        request.update_mask.paths.extend(f"metadata.{mask_key(key)}" for key in (*pairs, *removed))
        record = model_record(await self._api.call("UpdateModel", request, v1.Model, model_id), model_id)
        if not _has_changed(record, pairs, removed):
            raise bad_reply("it sent the model without the change", model_id)
        return record

    def search(self, matching: str, order_by: str, skip: int) -> AsyncGenerator[ModelRecord, None]:
        """
        Yield the models that match a filter.

        Args:
            matching: the filter; empty for all models.
            order_by: the order; empty for by id.
            skip: how many of them to leave out first.
        """
        request = v1.ListModelsRequest(
            filter=sendable_text(matching, "filter"), order_by=sendable_text(order_by, "order_by"), page_size=PAGE
        )

        async def fetch(token: str) -> Any:
            set_place(request, token, skip)
            reply = await self._api.call("ListModels", request, v1.ListModelsResponse, most=PAGE)
            return with_place(reply, request, reply.models)

        return entries(fetch, lambda page: [model_record(each) for each in page.models])

    async def count(self, matching: str) -> int:
        """
        Return how many models match a filter.
        """
        request = v1.ListModelsRequest(filter=sendable_text(matching, "filter"), page_size=1, show_total_size=True)
        reply = await self._api.call("ListModels", request, v1.ListModelsResponse, most=1)
        return int(with_place(reply, request, reply.models).total_size)


def _has_changed(record: ModelRecord, pairs: Mapping[str, str], removed: Collection[str]) -> bool:
    found = record.metadata
    return all(found.get(key) == value for key, value in pairs.items()) and found.keys().isdisjoint(removed)
