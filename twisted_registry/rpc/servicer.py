"""
The nine calls, as gRPC wants them.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import grpc

from twisted_registry.contracts.transfers import Limits
from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME
from twisted_registry.rpc.about import AboutCalls
from twisted_registry.rpc.admission import Admission
from twisted_registry.rpc.archive import ArchiveCheck
from twisted_registry.rpc.create import CreateCalls
from twisted_registry.rpc.hangup import hang_up
from twisted_registry.rpc.incoming import Incoming, Patience, asked
from twisted_registry.rpc.infos import InfoCalls
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.models import ModelCalls
from twisted_registry.rpc.outgoing import Outgoing
from twisted_registry.rpc.pages import LongLists
from twisted_registry.rpc.retrieve import DataCalls
from twisted_registry.rpc.status import Admit, Handler, guarded
from twisted_registry.rpc.updates import Hub, UpdateCalls

_METHOD_HANDLERS: dict[bool, Callable[[Any], Any]] = {
    False: grpc.stream_unary_rpc_method_handler,
    True: grpc.stream_stream_rpc_method_handler,
}
"""By whether the server streams."""


class RegistryCalls:
    """
    The handlers of the nine calls.

    To gRPC all of them are calls whose request streams: on the wire these look the same, and so it is here that one
    waits for a request, and no longer than there is patience.

    Attributes:
        patience: ends calls whose client is waited for too long.
    """

    def __init__(
        self,
        lookup: Lookup,
        hub: Hub,
        about: AboutCalls,
        archive: ArchiveCheck,
        limits: Limits,
        chunk_bytes: int,
    ) -> None:
        """

        Args:
            chunk_bytes: length of the data in all chunks sent but a version's last.
        """
        self._archive = archive
        self.patience = Patience(limits.upload_idle_seconds)
        outgoing = Outgoing(limits, hang_up)
        lists = LongLists(outgoing)
        creates = CreateCalls(lookup, Admission(limits), outgoing, chunk_bytes)
        models, infos = ModelCalls(lookup, lists), InfoCalls(lookup, lists)
        self.handlers: dict[str, Handler] = {
            "CreateOrUpdateModel": self._asked(models.create_or_update_model),
            "DeleteModel": self._asked(models.delete_model),
            "RetrieveModels": self._asked(models.retrieve_models),
            "CreateVersion": self._streamed(creates.create_version),
            "RetrieveVersionInfos": self._asked(infos.retrieve_version_infos),
            "RetrieveVersionData": self._asked(DataCalls(lookup, outgoing, chunk_bytes).retrieve_version_data),
            "VersionUpdate": self._asked(UpdateCalls(lookup, hub, outgoing).version_update),
            # Of whatever archive: these say which one it is.
            "Version": self._asked(about.version, checked=False),
            "Status": self._asked(about.status, checked=False),
        }

    def _streamed(self, handler: Handler) -> Handler:
        async def call(_: Any, context: Any) -> bytes | None:
            await self._archive.check(context)
            return await handler(Incoming(context, self.patience), context)

        return call

    def _asked(self, handler: Handler, checked: bool = True) -> Handler:
        call = asked(handler, self.patience)

        async def after_check(request: Any, context: Any) -> bytes | None:
            await self._archive.check(context)
            return await call(request, context)

        return after_check if checked else call


def generic_handler(
    handlers: dict[str, Handler], call: Callable[[], AbstractContextManager[None]], admit: Admit
) -> "grpc.GenericRpcHandler[Any, Any]":
    """
    Give the service to add to a server.

    All handlers take and give raw bytes: gRPC answers UNKNOWN where a deserializer of its own fails, and a version's
    data is not to pass through protobuf.

    Args:
        call: the context of a call; raises if none may be served now.
        admit: admits a call by its client.
    """
    methods = {
        method.name: _METHOD_HANDLERS[method.server_streaming](guarded(handlers[method.name], call, admit))
        for method in SERVICE.methods
    }
    return grpc.method_handlers_generic_handler(SERVICE_NAME, methods)
