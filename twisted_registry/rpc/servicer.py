"""
The nine calls, as gRPC wants them.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import grpc

from twisted_registry.rpc.about import AboutCalls
from twisted_registry.rpc.create import CreateCalls
from twisted_registry.rpc.infos import InfoCalls
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.messages import SERVICE, SERVICE_NAME
from twisted_registry.rpc.models import ModelCalls
from twisted_registry.rpc.retrieve import DataCalls
from twisted_registry.rpc.status import Handler, guarded
from twisted_registry.rpc.updates import Hub, UpdateCalls

_METHOD_HANDLERS: dict[tuple[bool, bool], Callable[[Any], Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
}
"""By whether the client streams, and whether the server does."""


def registry_handlers(lookup: Lookup, hub: Hub, chunk_bytes: int, started_seconds: float) -> dict[str, Handler]:
    """
    Give the handler of each call, by the call's name.

    @param chunk_bytes: length of the data in all chunks sent but a version's last.
    @param started_seconds: when the server started, on the monotonic clock.
    """
    models, infos, about = ModelCalls(lookup), InfoCalls(lookup), AboutCalls(lookup, hub, started_seconds)
    return {
        "CreateOrUpdateModel": models.create_or_update_model,
        "DeleteModel": models.delete_model,
        "RetrieveModels": models.retrieve_models,
        "CreateVersion": CreateCalls(lookup, chunk_bytes).create_version,
        "RetrieveVersionInfos": infos.retrieve_version_infos,
        "RetrieveVersionData": DataCalls(lookup).retrieve_version_data,
        "VersionUpdate": UpdateCalls(lookup, hub).version_update,
        "Version": about.version,
        "Status": about.status,
    }


def generic_handler(
    handlers: dict[str, Handler], call: Callable[[], AbstractContextManager[None]]
) -> "grpc.GenericRpcHandler[Any, Any]":
    """
    Give the service to add to a server.

    All handlers take and give raw bytes: gRPC answers UNKNOWN where a deserializer of its own fails, and a version's
    data is not to pass through protobuf.

    @param call: the context of a call; raises if none may be served now.
    """
    methods = {
        method.name: _METHOD_HANDLERS[method.client_streaming, method.server_streaming](
            guarded(handlers[method.name], call)
        )
        for method in SERVICE.methods
    }
    return grpc.method_handlers_generic_handler(SERVICE_NAME, methods)
