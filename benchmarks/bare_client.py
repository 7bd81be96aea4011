"""
A client as one would write it with grpc.aio and the messages alone: it checks nothing, and gives up at once.
"""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from benchmarks.messages import path
from twisted_registry.protocol.messages import api

_PIECE_BYTES = 1024 * 1024


class BareClient:
    """
    A client of a registry.
    """

    def __init__(self, address: str, *, hashing: bool) -> None:
        """

        Args:
            hashing: whether to hash what comes, as a client does that compares it with the version's info.
        """
        self._channel = grpc.aio.insecure_channel(address)
        self._hashing = hashing
        self._infos: Any = self._channel.unary_unary(
            path("RetrieveVersionInfos"),
            request_serializer=api.RetrieveVersionInfosRequest.SerializeToString,
            response_deserializer=api.RetrieveVersionInfosReply.FromString,
        )
        self._data: Any = self._channel.unary_stream(
            path("RetrieveVersionData"),
            request_serializer=api.RetrieveVersionDataRequest.SerializeToString,
            response_deserializer=api.RetrieveVersionDataReplyChunk.FromString,
        )
        self._create: Any = self._channel.stream_unary(
            path("CreateVersion"),
            request_serializer=api.CreateVersionRequestChunk.SerializeToString,
            response_deserializer=api.CreateVersionReply.FromString,
        )

    async def latest(self, model_id: str) -> Any:
        """
        Return the info of the latest version.
        """
        request = api.RetrieveVersionInfosRequest(model_id=model_id, version_numbers=[-1])
        return (await self._infos(request)).version_infos[0]

    async def retrieve(self, model_id: str, version_number: int) -> bytes:
        """
        Return a version's data.
        """
        request = api.RetrieveVersionDataRequest(model_id=model_id, version_number=version_number)
        digest = hashlib.sha256()
        chunks = []
        async for message in self._data(request):
            chunks.append(message.data_chunk)
            if self._hashing:
                digest.update(message.data_chunk)
        return b"".join(chunks)

    async def create(self, model_id: str, data: bytes, archived: bool) -> Any:
        """
        Create a version.
        """
        return await self._create(self._messages(model_id, data, archived))

    async def _messages(self, model_id: str, data: bytes, archived: bool) -> AsyncIterator[Any]:
        info = api.ModelVersionInfo(model_id=model_id, data_size=len(data), archived=archived)
        yield api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header(version_info=info))
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            yield api.CreateVersionRequestChunk(body=api.CreateVersionRequestChunk.Body(data_chunk=piece))
