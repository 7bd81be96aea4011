"""
Calls that read: infos of models and versions, and facts about the server.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from attrs import frozen
from grpc_health.v1 import health_pb2

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.connection import HEALTH_CHECK
from twisted_registry.client._transport.replies import bad_reply, model_info, version_info
from twisted_registry.client._transport.requests import sendable_model_id, sendable_selector
from twisted_registry.domain.errors import shown
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.protocol.messages import SERVICE_NAME, api, common

T = TypeVar("T")

_PAGE = 200
"""The number of entries on a page.  With the largest metadata allowed, they take 50 of the 64 MiB of a reply."""

_MOST_NAMES = 1000
_DECIMAL = re.compile("[0-9]{1,20}")


@frozen
class Queries:
    """
    Calls that read from a registry.
    """

    _calls: Calls

    async def model(self, model_id: str) -> ModelInfo:
        """
        Return a model's info.
        """
        request = api.RetrieveModelsRequest(model_ids=[sendable_model_id(model_id)])
        reply = await self._calls.call("RetrieveModels", request, api.RetrieveModelsReply, model_id)
        return model_info(_only(reply.model_infos, model_id), model_id)

    async def models(self) -> AsyncGenerator[ModelInfo, None]:
        """
        Yield the infos of all models.

        Raises:
            BadReply: a page is not in order, is too long, or does not lead forward.
        """
        handle, position, last_id = "", 0, ""
        while True:
            request = api.RetrieveModelsRequest(models_count=_PAGE, model_handle=handle)
            reply = await self._calls.call("RetrieveModels", request, api.RetrieveModelsReply, most=_PAGE)
            infos = [model_info(message) for message in reply.model_infos]
            _check_page([info.model_id for info in infos], "")
            # A handle is a position: if a model was created meanwhile, the page begins with earlier models.
            new = [info for info in infos if info.model_id > last_id]
            for info in new:
                yield info
            if len(infos) < _PAGE:
                return
            if not new:
                raise bad_reply("its pages repeat the same models")
            last_id = infos[-1].model_id
            handle, position = _next_page(reply.next_model_handle, position, "")

    async def version(self, model_id: str, selector: int) -> VersionInfo:
        """
        Return a version's info.
        """
        number = sendable_selector(model_id, selector)
        request = api.RetrieveVersionInfosRequest(model_id=sendable_model_id(model_id), version_numbers=[number])
        reply = await self._calls.call(
            "RetrieveVersionInfos", request, api.RetrieveVersionInfosReply, model_id, selector
        )
        info = version_info(_only(reply.version_infos, model_id, selector), model_id, selector)
        self._calls.connection.memory.saw(model_id, info.version_number)
        return info

    async def versions(self, model_id: str, since: int = 1) -> AsyncGenerator[VersionInfo, None]:
        """
        Yield the infos of a model's versions, starting at a number.

        Raises:
            BadReply: a page is not in order, is too long, or does not lead forward.
        """
        handle = str(since)
        last_number = since - 1
        sendable_model_id(model_id)
        while True:
            request = api.RetrieveVersionInfosRequest(model_id=model_id, versions_count=_PAGE, version_handle=handle)
            reply = await self._calls.call(
                "RetrieveVersionInfos", request, api.RetrieveVersionInfosReply, model_id, most=_PAGE
            )
            infos = [version_info(message, model_id) for message in reply.version_infos]
            _check_page([last_number, *(info.version_number for info in infos)], model_id, _PAGE + 1)
            for info in infos:
                yield info
            if len(infos) < _PAGE:
                return
            last_number = infos[-1].version_number
            handle, _ = _next_page(reply.next_version_handle, last_number, model_id)

    async def server_versions(self) -> dict[str, str]:
        """
        Return the versions of the server and of the libraries that it runs on.
        """
        reply = await self._calls.call("Version", common.VersionRequest(), common.VersionInfo, most=_MOST_NAMES)
        return {version.name: version.version for version in reply.versions}

    async def statuses(self, *names: str) -> dict[str, str]:
        """
        Return those of the named statuses that the server has.
        """
        request = common.StatusRequest(names=names)
        reply = await self._calls.call("Status", request, common.StatusReply, most=_MOST_NAMES)
        return dict(reply.statuses)

    async def is_serving(self) -> bool:
        """
        Return whether the health service reports that the registry is serving.
        """
        request = health_pb2.HealthCheckRequest(service=SERVICE_NAME)
        reply = await self._calls.call(HEALTH_CHECK, request, health_pb2.HealthCheckResponse)
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _only(messages: Sequence[T], model_id: str, selector: int | None = None) -> T:
    if len(messages) != 1:
        raise bad_reply(f"it sent {len(messages)} entries instead of one", model_id, selector)
    return messages[0]


def _check_page(keys: Sequence[Any], model_id: str, most: int = _PAGE) -> None:
    """
    Check the keys of a page.

    Raises:
        BadReply: there are more than were asked for, or they are not in ascending order.
    """
    if len(keys) > most:
        raise bad_reply(f"its page has more than the {_PAGE} entries asked for", model_id)
    for before, after in pairwise(keys):
        if after <= before:
            raise bad_reply(f"its page has {shown(after)} after {shown(before)}", model_id)


def _next_page(handle: str, position: int, model_id: str) -> tuple[str, int]:
    """
    Return the handle of the next page, and its position.

    Raises:
        BadReply: it does not lead forward.
    """
    if not _DECIMAL.fullmatch(handle) or int(handle) <= position:
        raise bad_reply(f"its next page is {shown(handle)}, after {position}", model_id)
    return handle, int(handle)
