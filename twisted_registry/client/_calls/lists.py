"""
Models and versions, without their data.
"""

from collections.abc import AsyncGenerator
from typing import TypeVar

from attrs import frozen

from twisted_registry.client._calls.checks import known_model, known_selector
from twisted_registry.client._calls.unary import Calls
from twisted_registry.client._calls.values import model_info, version_info
from twisted_registry.errors import Unsupported
from twisted_registry.protocol.messages import api
from twisted_registry.values import ModelInfo, VersionInfo

T = TypeVar("T")

_PAGE = 200
"""Infos asked for at a time.  With all the user data they may have, they come to 50 MiB of the 64 a reply may have."""


@frozen
class Lists:
    """
    Asks for infos.
    """

    _calls: Calls

    async def model(self, model_id: str) -> ModelInfo:
        """
        Give one model's info.
        """
        request = api.RetrieveModelsRequest(model_ids=[known_model(model_id)])
        reply = await self._calls.ask("RetrieveModels", request, api.RetrieveModelsReply, model_id)
        return model_info(_only(list(reply.model_infos)))

    async def models(self) -> AsyncGenerator[ModelInfo, None]:
        """
        Give the infos of all models.
        """
        handle = ""
        while True:
            request = api.RetrieveModelsRequest(models_count=_PAGE, model_handle=handle)
            reply = await self._calls.ask("RetrieveModels", request, api.RetrieveModelsReply)
            for message in reply.model_infos:
                yield model_info(message)
            if len(reply.model_infos) < _PAGE:
                return
            handle = reply.next_model_handle

    async def version(self, model_id: str, selector: int) -> VersionInfo:
        """
        Give one version's info.
        """
        number = known_selector(model_id, selector)
        request = api.RetrieveVersionInfosRequest(model_id=known_model(model_id), version_numbers=[number])
        reply = await self._calls.ask(
            "RetrieveVersionInfos", request, api.RetrieveVersionInfosReply, model_id, selector
        )
        info = version_info(_only(list(reply.version_infos)))
        self._calls.connection.memory.note(model_id, info.version_number)
        return info

    async def versions(self, model_id: str, since: int = 1) -> AsyncGenerator[VersionInfo, None]:
        """
        Give the infos of a model's versions from a number on.
        """
        handle = str(since)
        known_model(model_id)
        while True:
            request = api.RetrieveVersionInfosRequest(model_id=model_id, versions_count=_PAGE, version_handle=handle)
            reply = await self._calls.ask("RetrieveVersionInfos", request, api.RetrieveVersionInfosReply, model_id)
            for message in reply.version_infos:
                yield version_info(message)
            if len(reply.version_infos) < _PAGE:
                return
            handle = reply.next_version_handle


def _only(infos: list[T]) -> T:
    if len(infos) != 1:
        raise Unsupported(f"it gave {len(infos)} infos where one was asked for")
    return infos[0]
