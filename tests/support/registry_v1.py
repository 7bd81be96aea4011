"""
A client of ``twisted_registry.v1.Registry`` that does what a test tells it, and no more.
"""

from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from tests.support.client import DEADLINE_SECONDS
from twisted_registry.protocol.messages import POOL, REGISTRY_SERVICE_NAME, v1


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

    def fails(self, name: str, **fields: Any) -> grpc.StatusCode:
        """
        Make a call that fails, and return its code.
        """
        try:
            reply = getattr(self, name)(**fields)
            if not hasattr(reply, "DESCRIPTOR"):
                list(reply)
        except grpc.RpcError as error:
            return error.code()
        raise AssertionError(f"{name} succeeded: {reply}")


__all__ = ["RegistryV1", "v1"]
