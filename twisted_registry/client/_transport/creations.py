"""
The creation of a version, as traces know it.
"""

from contextlib import suppress

import grpc.aio

from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.connection import registry_method
from twisted_registry.client.errors import RegistryError
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.messages import v1
from twisted_registry.protocol.trace_context import TRACEPARENT_KEY, creation_in

_SECONDS = 5.0

UNRECORDED = (TRACEPARENT_KEY, f"00-{16 * '1f'}-{8 * '1f'}-00")
"""The context of a span that is not recorded, so that the server does not record this call either."""


async def creation_of(calls: Calls, info: VersionInfo) -> str:
    """
    Return the context of the call that has created a version, which the server remembers for the last versions; empty
    if it is not known.  The announcement of a version has no place for it.
    """
    request = v1.GetVersionRequest(reference=str(Reference(info.model_id, info.version_number)))
    connection = calls.connection
    with suppress(RegistryError, grpc.aio.AioRpcError, grpc.aio.InternalError):
        seconds = min(_SECONDS, calls.options.deadline_seconds)
        method = connection.method(registry_method("GetVersion"))
        metadata = (*connection.metadata, UNRECORDED)
        call = method(request.SerializeToString(), timeout=seconds, metadata=metadata)
        await call
        return creation_in(await call.trailing_metadata())
    return ""
