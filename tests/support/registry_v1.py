"""
A client of ``twisted_registry.v1.Registry`` that does what a test tells it, and no more.
"""

from queue import SimpleQueue
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from tests.support.client import DEADLINE_SECONDS
from twisted_registry.protocol.messages import POOL, REGISTRY_SERVICE_NAME, v1


class UploadV1:
    """
    A ``CreateVersion`` call that has begun.  Messages are sent at once; the stream stays open until ``end``.

    Attributes:
        call: the grpc call object.
    """

    def __init__(self, channel: grpc.Channel, header: dict[str, Any]) -> None:
        self._messages: SimpleQueue[Any] = SimpleQueue()
        self.send(v1.CreateVersionRequest(header=v1.CreateVersionHeader(**header)))
        begin = channel.stream_unary(f"/{REGISTRY_SERVICE_NAME}/CreateVersion", _serialized, v1.Version.FromString)
        self.call: Any = begin.future(iter(self._messages.get, None), timeout=DEADLINE_SECONDS)

    def send(self, message: Any) -> None:
        """
        Send a message, or raw bytes.
        """
        self._messages.put(message)

    def feed(self, data: bytes, piece_bytes: int = 2**20) -> None:
        """
        Send data.
        """
        for start in range(0, len(data), piece_bytes):
            self.send(v1.CreateVersionRequest(chunk=data[start : start + piece_bytes]))

    def end(self) -> None:
        """
        End the stream.
        """
        self._messages.put(None)

    def finish(self) -> Any:
        """
        End the stream, and return the version.
        """
        self.end()
        return self.call.result(DEADLINE_SECONDS)

    def code(self) -> grpc.StatusCode:
        """
        End the stream, and return the code that it fails with.
        """
        self.end()
        code: grpc.StatusCode = self.call.code()
        return code

    def cancel(self) -> None:
        """
        Cancel the call, as if the client had died.
        """
        self.call.cancel()
        self.end()


def _serialized(message: Any) -> bytes:
    serialized: bytes = message if isinstance(message, bytes) else message.SerializeToString()
    return serialized


class RegistryV1:
    """
    The calls of the service, by name.  Each takes the fields of its request.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        method = POOL.FindServiceByName(REGISTRY_SERVICE_NAME).methods_by_name[name]
        request_class, reply_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        path = f"/{REGISTRY_SERVICE_NAME}/{name}"
        if method.server_streaming:
            stream = self._channel.unary_stream(path, request_class.SerializeToString, reply_class.FromString)
            return lambda **fields: stream(request_class(**fields), timeout=DEADLINE_SECONDS)
        call = self._channel.unary_unary(path, request_class.SerializeToString, reply_class.FromString)
        return lambda **fields: call(request_class(**fields), timeout=DEADLINE_SECONDS)

    def begin(self, **header: Any) -> "UploadV1":
        """
        Begin to create a version.
        """
        return UploadV1(self._channel, header)

    def create(self, data: bytes, *, piece_bytes: int = 2**20, **header: Any) -> Any:
        """
        Create a version.
        """
        upload = self.begin(size_bytes=len(data), **header)
        upload.feed(data[header.get("offset", 0) :], piece_bytes)
        return upload.finish()

    def fails(self, name: str, **fields: Any) -> grpc.StatusCode:
        """
        Make a call that fails before it replies, and return its code.
        """
        try:
            reply = getattr(self, name)(**fields)
            if not hasattr(reply, "DESCRIPTOR"):
                call, reply = reply, next(reply)
                call.cancel()
        except grpc.RpcError as error:
            return error.code()
        raise AssertionError(f"{name} succeeded: {reply}")


__all__ = ["RegistryV1", "v1"]
