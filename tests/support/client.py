"""
A client that speaks the wire API as it is: what it knows of it comes from the compiled .proto files alone.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME, api, common

DEADLINE_SECONDS = 120
"""Nothing takes so long; a call that does has failed."""

Info = Any
"""A ``ModelVersionInfo``."""

_STYLES = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
}


def data_hash(data: bytes) -> str:
    """
    Return the SHA-256 of data in the wire's form.
    """
    return b64encode(hashlib.sha256(data).digest()).decode()


def header(model_id: str, data_size: int, **fields: Any) -> Any:
    """
    Make the first message of an upload.
    """
    info = api.ModelVersionInfo(model_id=model_id, data_size=data_size, **fields)
    return api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header(version_info=info))


def body(data: bytes) -> Any:
    """
    Make a later message of an upload.
    """
    return api.CreateVersionRequestChunk(body=api.CreateVersionRequestChunk.Body(data_chunk=data))


def pieces(data: bytes, size: int = 1024 * 1024) -> Iterator[bytes]:
    """
    Cut data as a client would.
    """
    return (data[start : start + size] for start in range(0, len(data), size))


class Client:
    """
    A blocking client of a registry.
    """

    def __init__(self, address: str, **options: Any) -> None:
        self.channel = grpc.insecure_channel(address, options=[*options.items()])

    def close(self) -> None:
        """
        Close the connection.
        """
        self.channel.close()

    def call(
        self, name: str, request: Any, deadline_seconds: float = DEADLINE_SECONDS, wait_for_ready: bool = True
    ) -> Any:
        """
        Make a call: a message or, for a call whose request streams, an iterable of messages; bytes are sent raw.

        Args:
            wait_for_ready: whether to wait where nobody listens.

        Returns:
            the reply, or for a call whose reply streams the grpc call object, which gives the messages.
        """
        streams = SERVICE.methods_by_name[name].client_streaming
        return self._callable(name)(
            iter(request) if streams else request, timeout=deadline_seconds, wait_for_ready=wait_for_ready
        )

    def begin(self, name: str, request: Any) -> Any:
        """
        Make a call whose reply does not stream, and do not wait for it.

        Returns:
            the grpc call object, which is a future.
        """
        return self._callable(name).future(request, timeout=DEADLINE_SECONDS, wait_for_ready=True)

    def _callable(self, name: str) -> Any:
        method = SERVICE.methods_by_name[name]
        reply_class = getattr(api, method.output_type.name, None) or getattr(common, method.output_type.name)
        return getattr(self.channel, _STYLES[method.client_streaming, method.server_streaming])(
            f"/{SERVICE_NAME}/{name}",
            request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
            response_deserializer=reply_class.FromString,
        )

    def save_model(self, model_id: str, **user_data: str) -> None:
        """
        Make a model.
        """
        info = api.ModelInfo(model_id=model_id, user_data=user_data)
        self.call("CreateOrUpdateModel", api.CreateOrUpdateModelRequest(model_info=info))

    def delete_model(self, model_id: str) -> None:
        """
        Remove a model.
        """
        self.call("DeleteModel", api.DeleteModelRequest(model_id=model_id))

    def models(self, *model_ids: str, count: int = 0, handle: str = "") -> Any:
        """
        List models.
        """
        request = api.RetrieveModelsRequest(model_ids=model_ids, models_count=count, model_handle=handle)
        return self.call("RetrieveModels", request)

    def create(self, model_id: str, data: bytes, piece_bytes: int = 1024 * 1024, **fields: Any) -> Info:
        """
        Create a version, and give its info.
        """
        return self.upload(header(model_id, len(data), **fields), map(body, pieces(data, piece_bytes)))

    def upload(self, first: Any, rest: Iterable[Any]) -> Info:
        """
        Create a version from messages, and give its info.
        """
        return self.call("CreateVersion", (message for part in ([first], rest) for message in part)).version_info

    def infos(self, model_id: str, *numbers: int, count: int = 0, handle: str = "") -> Any:
        """
        List versions.
        """
        request = api.RetrieveVersionInfosRequest(
            model_id=model_id, version_numbers=numbers, versions_count=count, version_handle=handle
        )
        return self.call("RetrieveVersionInfos", request)

    def latest(self, model_id: str) -> Info:
        """
        Return the info of the latest version.
        """
        return self.infos(model_id, -1).version_infos[0]

    def chunks(self, model_id: str, number: int) -> Iterator[bytes]:
        """
        Yield a version's data as it arrives.
        """
        request = api.RetrieveVersionDataRequest(model_id=model_id, version_number=number)
        return (chunk.data_chunk for chunk in self.call("RetrieveVersionData", request))

    def data(self, model_id: str, number: int) -> bytes:
        """
        Return a version's data.
        """
        return b"".join(self.chunks(model_id, number))

    def updates(self, model_id: str, deadline_seconds: float = DEADLINE_SECONDS) -> Any:
        """
        Subscribe to a model: gives replies, and can be cancelled.
        """
        return self.call("VersionUpdate", api.VersionUpdateRequest(model_id=model_id), deadline_seconds)

    def statuses(self, *names: str) -> dict[str, str]:
        """
        Ask for statuses.
        """
        return dict(self.call("Status", common.StatusRequest(names=names)).statuses)

    def health(self, service: str = "") -> int:
        """
        Ask whether the daemon serves.
        """
        request = health_pb2.HealthCheckRequest(service=service)
        return int(health_pb2_grpc.HealthStub(self.channel).Check(request, timeout=DEADLINE_SECONDS).status)
