"""
Models and versions, without their data.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from attrs import frozen

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.replies import bad_reply, model_info, version_info
from twisted_registry.client._transport.requests import sendable_model_id, sendable_selector
from twisted_registry.domain.errors import shown
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.protocol.messages import api

T = TypeVar("T")

_PAGE = 200
"""Infos asked for at a time.  With all the user data they may have, they come to 50 MiB of the 64 a reply may have."""

_DECIMAL = re.compile("[0-9]{1,20}")


@frozen
class Queries:
    """
    Asks for infos.
    """

    _calls: Calls

    async def model(self, model_id: str) -> ModelInfo:
        """
        Give one model's info.
        """
        request = api.RetrieveModelsRequest(model_ids=[sendable_model_id(model_id)])
        reply = await self._calls.ask("RetrieveModels", request, api.RetrieveModelsReply, model_id)
        return model_info(_only(reply.model_infos, model_id), model_id)

    async def models(self) -> AsyncGenerator[ModelInfo, None]:
        """
        Give the infos of all models.

        Raises:
            BadReply: a page is not in order, is too long, or leads nowhere new.
        """
        handle, position, last_id = "", 0, ""
        while True:
            request = api.RetrieveModelsRequest(models_count=_PAGE, model_handle=handle)
            reply = await self._calls.ask("RetrieveModels", request, api.RetrieveModelsReply, most=_PAGE)
            infos = [model_info(message) for message in reply.model_infos]
            _check_page([info.model_id for info in infos], "")
            # A page counts from the first model: where one was made meanwhile, it begins with what was there before.
            new = [info for info in infos if info.model_id > last_id]
            for info in new:
                yield info
            if len(infos) < _PAGE:
                return
            if not new:
                raise bad_reply("its pages tell of the same models again and again")
            last_id = infos[-1].model_id
            handle, position = _further(reply.next_model_handle, position, "")

    async def version(self, model_id: str, selector: int) -> VersionInfo:
        """
        Give one version's info.
        """
        number = sendable_selector(model_id, selector)
        request = api.RetrieveVersionInfosRequest(model_id=sendable_model_id(model_id), version_numbers=[number])
        reply = await self._calls.ask(
            "RetrieveVersionInfos", request, api.RetrieveVersionInfosReply, model_id, selector
        )
        info = version_info(_only(reply.version_infos, model_id, selector), model_id, selector)
        self._calls.connection.memory.note(model_id, info.version_number)
        return info

    async def versions(self, model_id: str, since: int = 1) -> AsyncGenerator[VersionInfo, None]:
        """
        Give the infos of a model's versions from a number on.

        Raises:
            BadReply: a page is not in order, is too long, or leads nowhere new.
        """
        handle = str(since)
        last_number = since - 1
        sendable_model_id(model_id)
        while True:
            request = api.RetrieveVersionInfosRequest(model_id=model_id, versions_count=_PAGE, version_handle=handle)
            reply = await self._calls.ask(
                "RetrieveVersionInfos", request, api.RetrieveVersionInfosReply, model_id, most=_PAGE
            )
            infos = [version_info(message, model_id) for message in reply.version_infos]
            _check_page([last_number, *(info.version_number for info in infos)], model_id, _PAGE + 1)
            for info in infos:
                yield info
            if len(infos) < _PAGE:
                return
            last_number = infos[-1].version_number
            handle, _ = _further(reply.next_version_handle, last_number, model_id)


def _only(messages: Sequence[T], model_id: str, selector: int | None = None) -> T:
    if len(messages) != 1:
        raise bad_reply(f"told of {len(messages)}, and not of one", model_id, selector)
    return messages[0]


def _check_page(keys: Sequence[Any], model_id: str, most: int = _PAGE) -> None:
    """

    Raises:
        BadReply: a page is longer than was asked for, or its entries do not rise.
    """
    if len(keys) > most:
        raise bad_reply(f"its page holds more than the {_PAGE} entries asked for", model_id)
    for before, after in pairwise(keys):
        if after <= before:
            raise bad_reply(f"its page tells of {shown(after)} after {shown(before)}", model_id)


def _further(handle: str, position: int, model_id: str) -> tuple[str, int]:
    """
    Return the handle of the next page, and the position that it stands for.

    Raises:
        BadReply: it does not lead forward.
    """
    if not _DECIMAL.fullmatch(handle) or int(handle) <= position:
        raise bad_reply(f"its next page is {shown(handle)}, and it was at {position} before", model_id)
    return handle, int(handle)
