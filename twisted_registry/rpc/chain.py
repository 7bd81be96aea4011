"""
The chain that every call passes, those of health and reflection too.

Its order, the outermost first:

1. The access log, which also sees the status of calls that fail.  Metrics belong next to it.
2. Errors: whatever the rest raises becomes the call's status.
3. The call tracker: limits, and whether the registry serves.  Refusing a call here costs least.
4. The archive's identity.  Authentication belongs before it: it needs the metadata, but no request.
5. The idle timeout, which receives the request.  Authorization belongs after it: the model is named in the request.

Each of them wraps a method's handler once, when the server starts, so a call passes plain coroutines.
"""

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.access_log import log_calls
from twisted_registry.rpc.interceptors.archive_identity import ArchiveIdentityCheck
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.interceptors.errors import end_failed_calls
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout
from twisted_registry.rpc.methods import Handler, Method, Service

Interceptor = Callable[[Method, Handler], Handler]
"""Wraps the handler of a method.  It may return the handler as it is."""


def interceptors(
    tracker: CallTracker, identity: ArchiveIdentityCheck, timeout: IdleTimeout, access_log: bool
) -> Sequence[Interceptor]:
    """
    Return the interceptors in their order.

    Args:
        access_log: whether calls are logged; if not, the chain is shorter.
    """
    logging: list[Interceptor] = [log_calls] if access_log else []
    return [*logging, end_failed_calls, tracker.intercept, identity.intercept, timeout.intercept]


def generic_handler(service: Service, chain: Sequence[Interceptor]) -> "grpc.GenericRpcHandler[Any, Any]":
    """
    Return a service as gRPC takes it.

    To gRPC each of its calls is one whose request streams, and whose request is raw bytes.  On the wire that makes no
    difference.  The wait for the request then happens here, under the idle timeout, and a request that cannot be parsed
    is answered with INVALID_ARGUMENT: gRPC itself would answer UNKNOWN.

    Args:
        chain: the interceptors, the outermost first.
    """
    return grpc.method_handlers_generic_handler(
        service.name, {method.name: _method_handler(method, chain) for method in service.methods}
    )


def _method_handler(method: Method, chain: Sequence[Interceptor]) -> Any:
    handler = method.handler
    for intercept in reversed(chain):
        handler = intercept(method, handler)

    async def serve(_: Any, context: Any) -> Any:
        return await handler(None, CallContext(method, context))

    make = grpc.stream_stream_rpc_method_handler if method.streams_replies else grpc.stream_unary_rpc_method_handler
    return make(serve, response_serializer=method.reply and method.reply.SerializeToString)
