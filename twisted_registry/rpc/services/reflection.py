"""
The reflection service: it describes the services of a server to clients that have no .proto files.
"""

from collections.abc import Sequence
from typing import Any

from grpc_reflection.v1alpha import reflection, reflection_pb2

from twisted_registry.domain.access import Action
from twisted_registry.protocol.messages import POOL, add_files
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.idle_timeout import RequestStream
from twisted_registry.rpc.methods import Method, Service

_aio: Any = reflection.aio  # type: ignore[attr-defined]  # the stubs do not know it

add_files([reflection_pb2.DESCRIPTOR.serialized_pb])


def reflection_service(services: Sequence[Service]) -> Service:
    """
    Return the service to add to a server.

    Args:
        services: the services that it describes, in addition to itself.
    """
    servicer = _aio.ReflectionServicer([*(service.name for service in services), reflection.SERVICE_NAME], pool=POOL)

    async def reflect(requests: RequestStream, call: CallContext) -> None:
        async for reply in servicer.ServerReflectionInfo(aiter(requests), call):
            await call.write(reply)

    return Service(
        reflection.SERVICE_NAME,
        [
            Method(
                "ServerReflectionInfo",
                reflect,
                Action.IDENTIFY,
                request=reflection_pb2.ServerReflectionRequest,
                reply=reflection_pb2.ServerReflectionResponse,
                always_served=True,
                any_archive=True,
            )
        ],
    )
