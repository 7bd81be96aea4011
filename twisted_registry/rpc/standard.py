"""
The standard services, health and reflection, under the bounds of our own calls: as gRPC's packages register them, they
wait for a request for as long as the client likes, and parse it however long it is.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from twisted_registry.protocol.messages import POOL
from twisted_registry.rpc.checks import Checks
from twisted_registry.rpc.incoming import Incoming, Patience, asked
from twisted_registry.rpc.status import Admit, guarded
from twisted_registry.rpc.wire import parse

_aio: Any = reflection.aio  # type: ignore[attr-defined]  # the stubs do not know it


def health_handler(
    checks: Checks, patience: Patience, count: Admit, admit: Admit
) -> "grpc.GenericRpcHandler[Any, Any]":
    """
    Return the health service to add to a server.

    Args:
        count: counts a check, which is answered however many calls there are.
        admit: admits a watch.
    """

    async def check(raw: bytes, context: Any) -> Any:
        return await checks.Check(parse(health_pb2.HealthCheckRequest, raw), context)

    async def watch(raw: bytes, context: Any) -> Any:
        await checks.Watch(parse(health_pb2.HealthCheckRequest, raw), context)

    serializer = health_pb2.HealthCheckResponse.SerializeToString
    handlers = {
        "Check": grpc.stream_unary_rpc_method_handler(
            guarded(asked(check, patience), nullcontext, count), response_serializer=serializer
        ),
        "Watch": grpc.stream_stream_rpc_method_handler(
            guarded(asked(watch, patience), nullcontext, admit), response_serializer=serializer
        ),
    }
    return grpc.method_handlers_generic_handler(health.SERVICE_NAME, handlers)


def reflection_handler(names: Sequence[str], patience: Patience, admit: Admit) -> "grpc.GenericRpcHandler[Any, Any]":
    """
    Return the reflection service to add to a server.

    Args:
        names: the services that it tells of, beside itself.
    """
    servicer = _aio.ReflectionServicer((*names, reflection.SERVICE_NAME), pool=POOL)

    async def reflect(_: Any, context: Any) -> None:
        incoming = Incoming(context, patience)

        async def requests() -> AsyncIterator[Any]:
            while (raw := await incoming.read()) is not None:
                yield parse(reflection_pb2.ServerReflectionRequest, raw)

        async for response in servicer.ServerReflectionInfo(requests(), context):
            await context.write(response)

    handler = grpc.stream_stream_rpc_method_handler(
        guarded(reflect, nullcontext, admit),
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, {"ServerReflectionInfo": handler})
