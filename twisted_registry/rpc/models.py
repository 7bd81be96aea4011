"""
The calls about models.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import islice

from attrs import frozen

from twisted_registry.domain.models import ModelInfo
from twisted_registry.protocol.limits import MODELS_REQUEST_MAX_BYTES
from twisted_registry.protocol.messages import api
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.handles import parse_decimal
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.pages import BATCH, LongLists, Page, batches, check_asked
from twisted_registry.rpc.wire import model_message, model_to_save, parse, parse_long


def _serialized(infos: "Sequence[api.ModelInfo]", following: str) -> bytes:
    return api.RetrieveModelsReply(model_infos=infos, next_model_handle=following).SerializeToString()


@frozen
class ModelCalls:
    """
    ``CreateOrUpdateModel``, ``DeleteModel`` and ``RetrieveModels``.
    """

    _lookup: Lookup
    _lists: LongLists

    async def create_or_update_model(self, raw: bytes, call: CallContext) -> bytes:
        """
        Make a model, or replace its user data.
        """
        info = model_to_save(raw)
        await self._lookup.bridge.call(lambda: self._lookup.registry.save_model(info))
        return api.CreateOrUpdateModelReply().SerializeToString()

    async def delete_model(self, raw: bytes, call: CallContext) -> bytes:
        """
        Remove a model with all its versions.
        """
        model_id = parse(api.DeleteModelRequest, raw).model_id
        await self._lookup.bridge.call(lambda: self._lookup.registry.delete_model(model_id))
        return api.DeleteModelReply().SerializeToString()

    async def retrieve_models(self, raw: bytes, call: CallContext) -> bytes:
        """
        List models: all of them, or those asked for.
        """
        request = await parse_long(api.RetrieveModelsRequest, raw, MODELS_REQUEST_MAX_BYTES)
        check_asked(len(request.model_ids))
        offset = parse_decimal(request.model_handle)
        length = len(request.model_ids) or len(await self._lookup.model_ids())
        length = min(length, request.models_count or length)
        return await self._lists.reply(call, length, partial(self._listed, request, offset))

    async def _listed(self, request: "api.RetrieveModelsRequest", offset: int) -> bytes:
        page: Page[api.ModelInfo] = Page(request.models_count, "models_count", _serialized)
        if request.model_ids:
            await self._add_asked(page, request.model_ids, offset)
        else:
            await self._add_all(page, offset)
        return page.reply(str(offset + page.length) if page.length else request.model_handle or "0")

    async def _add_asked(self, page: "Page[api.ModelInfo]", model_ids: Sequence[str], offset: int) -> None:
        async for batch in batches(model_ids):
            for model_id in batch:
                self._lookup.registry.model_info(model_id)  # raises where it is unknown, on whatever page
        rest = islice(model_ids, offset, None)
        while batch := list(islice(rest, page.room)):
            for result in await self._lookup.models(batch):
                if not isinstance(result, ModelInfo):
                    raise result
                page.add(model_message(result))
            if len(batch) == BATCH:
                await asyncio.sleep(0)

    async def _add_all(self, page: "Page[api.ModelInfo]", offset: int) -> None:
        # A damaged model is passed over, and another one takes its place: a short page would mean the end.
        rest = iter((await self._lookup.model_ids())[offset:])
        while batch := list(islice(rest, page.room)):
            for result in await self._lookup.models(batch):
                if isinstance(result, ModelInfo):
                    page.add(model_message(result))
            if len(batch) == BATCH:
                await asyncio.sleep(0)
