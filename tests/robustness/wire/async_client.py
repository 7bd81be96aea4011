"""
A client for very many calls at once.
"""

from typing import Any

import grpc.aio

from tests.support.client import DEADLINE_SECONDS, body, header, pieces
from twisted_registry.protocol.messages import SERVICE_NAME, api, common

LOST = "Internal error from Core"
"""A text of grpc.aio's client, not of a server: the request stream ended early, and the status is lost."""

_REPLIES = {
    "CreateOrUpdateModel": api.CreateOrUpdateModelReply,
    "DeleteModel": api.DeleteModelReply,
    "RetrieveModels": api.RetrieveModelsReply,
    "RetrieveVersionInfos": api.RetrieveVersionInfosReply,
    "Status": common.StatusReply,
}


def _bytes_of(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded


class AsyncClient:
    """
    A client of a registry with its own connection, in the running event loop.
    """

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])

    async def close(self) -> None:
        """
        Close the connection.
        """
        await self._channel.close(None)

    async def call(self, name: str, request: Any) -> Any:
        """
        Make a call that takes one message and gives one.
        """
        call = self._channel.unary_unary(
            f"/{SERVICE_NAME}/{name}", request_serializer=_bytes_of, response_deserializer=_REPLIES[name].FromString
        )
        return await call(request, timeout=DEADLINE_SECONDS)

    async def save_model(self, model_id: str) -> None:
        """
        Make a model.
        """
        await self.call(
            "CreateOrUpdateModel", api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id=model_id))
        )

    async def delete_model(self, model_id: str) -> None:
        """
        Remove a model.
        """
        await self.call("DeleteModel", api.DeleteModelRequest(model_id=model_id))

    async def models(self) -> Any:
        """
        List all models.
        """
        return await self.call("RetrieveModels", api.RetrieveModelsRequest())

    async def infos(self, model_id: str) -> Any:
        """
        List all versions.
        """
        return await self.call("RetrieveVersionInfos", api.RetrieveVersionInfosRequest(model_id=model_id))

    async def statuses(self) -> dict[str, str]:
        """
        Ask for all statuses.
        """
        return dict((await self.call("Status", common.StatusRequest(names=["*"]))).statuses)

    async def create(self, model_id: str, data: bytes, archived: bool, **user_data: str) -> Any:
        """
        Create a version, and return its info.
        """
        call = self._channel.stream_unary(
            f"/{SERVICE_NAME}/CreateVersion",
            request_serializer=_bytes_of,
            response_deserializer=api.CreateVersionReply.FromString,
        )
        messages = [header(model_id, len(data), archived=archived, user_data=user_data), *map(body, pieces(data))]
        return (await call(iter(messages), timeout=DEADLINE_SECONDS)).version_info

    async def data(self, model_id: str, number: int) -> bytes:
        """
        Return a version's data.
        """
        call = self._channel.unary_stream(
            f"/{SERVICE_NAME}/RetrieveVersionData",
            request_serializer=_bytes_of,
            response_deserializer=api.RetrieveVersionDataReplyChunk.FromString,
        )
        request = api.RetrieveVersionDataRequest(model_id=model_id, version_number=number)
        return b"".join([chunk.data_chunk async for chunk in call(request, timeout=DEADLINE_SECONDS)])

    def updates(self, model_id: str) -> Any:
        """
        Subscribe to a model.

        Returns:
            the grpc call object, which gives replies and can be cancelled.
        """
        call = self._channel.unary_stream(
            f"/{SERVICE_NAME}/VersionUpdate",
            request_serializer=_bytes_of,
            response_deserializer=api.VersionUpdateReply.FromString,
        )
        return call(api.VersionUpdateRequest(model_id=model_id))
