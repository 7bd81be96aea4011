"""
The chain that every call passes, those of health and reflection too.

Its order, the outermost first:

1. The access log, the traces and the metrics, which also see the status of calls that fail.
2. Errors: whatever the rest raises becomes the call's status.
3. The audit log, if there is one, which records the calls that change something.  It has a second part at the end.
4. The call tracker: limits, and whether the registry serves.  Refusing a call here costs least.
5. Authentication, with access control.  It needs the metadata, but no request.
6. The archive's identity.
7. The idle timeout, which receives the request.
8. The request is read, if that takes long enough to do it only once.  The access log keeps it, and the span of a trace
   begins.
9. Authorization, with access control: the model is named in the request.
10. The quotas of calls and bytes, with a policy.  What is refused before does not count.
11. The audit log again: acts that it cannot record are refused, and others are finished even if the client leaves.

With a Unix socket, its relay comes before all of them: it knows the peers of calls, which the access log names.

The tracker and the timeout keep the state of calls, each in a separate module; the others are short, and are here.
Each of them wraps a method's handler once, when the server starts, so a call passes plain coroutines.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import grpc
import grpc.aio
from attrs import frozen
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.application.validation import check_archive
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.errors import RegistryError
from twisted_registry.observability.incidents import report_incident
from twisted_registry.protocol import error_map
from twisted_registry.protocol.call_metadata import ARCHIVE_KEY, ASKED, REQUEST_ID_KEY, archive_in
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.access_log import AccessLogging
from twisted_registry.rpc.interceptors.audit import Audit
from twisted_registry.rpc.interceptors.authentication import Authentication
from twisted_registry.rpc.interceptors.authorization import authorizer
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout
from twisted_registry.rpc.interceptors.metrics import CallMetrics
from twisted_registry.rpc.interceptors.quotas import QuotaChecks
from twisted_registry.rpc.interceptors.tracing import CallTracing
from twisted_registry.rpc.methods import Handler, Method, Service

_log = Logger()

_TEXT_MAX_BYTES = 1024

Interceptor = Callable[[Method, Handler], Handler]
"""Wraps the handler of a method.  It may return the handler as it is."""


# The short interceptors, in their order.


def _truncated(text: str) -> str:
    encoded = text.encode("utf-8", "replace")
    return encoded[:_TEXT_MAX_BYTES].decode("utf-8", "ignore")


def status_of(error: BaseException, call: CallContext | None = None) -> tuple[grpc.StatusCode, str]:
    """
    Return the code and the text for an error.  An unexpected error is a bug: it is logged under an incident's id, and
    the caller gets only that id.
    """
    code = grpc.StatusCode[error_map.code_of(error)]
    if code is not grpc.StatusCode.INTERNAL:
        return code, _truncated(str(error))
    request_id = "unknown" if call is None else call.request_id
    return code, report_incident(_log, Failure(error), "request {request_id}", request_id=request_id)


def details_of(error: BaseException, code: grpc.StatusCode, text: str) -> tuple[error_map.Metadatum, ...]:
    """
    Return the trailing metadata that describe an error; none for an unexpected one.
    """
    return error_map.to_metadata(error, code.name, text) if isinstance(error, RegistryError) else ()


def end_failed_calls(
    method: Method, handler: Handler, failed: Callable[[CallContext, Exception], None] | None = None
) -> Handler:
    """
    Wrap a handler so that its calls end with a status, whatever it raises.

    Args:
        failed: called with each call that fails, and its error; ``None`` for nothing.
    """

    async def handle(request: Any, call: CallContext) -> Any:
        try:
            return await handler(request, call)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except grpc.aio.InternalError:
            # The client left while a message was sent to it, and gRPC has not cancelled the call yet.
            raise asyncio.CancelledError from None
        except Exception as error:
            if failed is not None:
                failed(call, error)
            code, text = status_of(error, call)
            trailing = ((REQUEST_ID_KEY, call.request_id), *call.trace_metadata, *details_of(error, code, text))
            call.error_type = type(error)
        try:
            await call.abort(code, text, trailing)
        except grpc.aio.InternalError:
            # gRPC takes no status while a message waits for a client that reads nothing.
            raise asyncio.CancelledError from None

    return handle


@frozen
class ArchiveIdentityCheck:
    """
    The check that a call is not meant for another archive.
    """

    _status: ArchiveStatus

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls are checked, before their request is read.
        """
        if method.any_archive:
            return handler

        async def handle(request: Any, call: CallContext) -> Any:
            named = archive_in(call.metadata)
            if named:
                await self._check(named, call)
            return await handler(request, call)

        return handle

    async def _check(self, named: str, call: CallContext) -> None:
        """
        Refuse the call of a client that has worked with another archive, and send the id to a client that asks for it.

        Raises:
            ArchiveChanged: the client has worked with another archive.
        """
        served = self._status.identity.archive_id
        if named == ASKED:
            if served:
                await call.send_initial_metadata(((ARCHIVE_KEY, served),))
        else:
            check_archive(self._status, named)


def read_requests(method: Method, handler: Handler) -> Handler:
    """
    Wrap a handler so that it gets what ``Method.read_request`` returns.
    """
    read = method.read_request
    if read is None:
        return handler

    async def handle(message: Any, call: CallContext) -> Any:
        return await handler(await read(message), call)

    return handle


# The chain.


def interceptors(
    tracker: CallTracker,
    identity: ArchiveIdentityCheck,
    timeout: IdleTimeout,
    access_log: AccessLogging | None,
    authentication: Authentication | None = None,
    quotas: QuotaChecks | None = None,
    audit: Audit | None = None,
    metrics: CallMetrics | None = None,
    tracing: CallTracing | None = None,
) -> Sequence[Interceptor]:
    """
    Return the interceptors in their order.

    Args:
        access_log: logs calls; ``None`` without an access log: then the chain is shorter.
        authentication: finds out who calls; ``None`` without access control: then anyone may do anything.
        quotas: applies quotas to calls; ``None`` without a policy.
        audit: records calls; ``None`` without an audit log.
        metrics: reports calls; ``None`` if nobody reads metrics.
        tracing: traces calls; ``None`` for no traces.
    """
    begin: list[Interceptor] = [] if access_log is None else [access_log.intercept]
    if tracing is not None:
        begin.append(tracing.intercept)
    if metrics is not None:
        begin.append(metrics.intercept)
    read: list[Interceptor] = [read_requests] if access_log is None else [read_requests, access_log.keep_requests]
    end: list[Interceptor] = []
    if audit is None:
        begin += [end_failed_calls, tracker.intercept]
    else:
        begin += [partial(end_failed_calls, failed=audit.note_refusal), audit.intercept, tracker.intercept]
        end = [audit.begin_act]
    if tracing is not None:
        read.append(tracing.begin)
    if authentication is None:
        return [*begin, identity.intercept, timeout.intercept, *read, *end]
    permit: list[Interceptor] = [authorizer(authentication.refresh), *([] if quotas is None else [quotas.intercept])]
    return [*begin, authentication.intercept, identity.intercept, timeout.intercept, *read, *permit, *end]


def wrapped(service: Service, chain: Sequence[Interceptor]) -> Mapping[str, Handler]:
    """
    Return the handlers of a service inside the chain, by the paths of their methods.

    Args:
        chain: the interceptors, the outermost first.
    """
    return {method.path: _wrapped(method, chain) for method in service.methods}


def _wrapped(method: Method, chain: Sequence[Interceptor]) -> Handler:
    handler = method.handler
    for intercept in reversed(chain):
        handler = intercept(method, handler)
    return handler


def generic_handler(
    service: Service, handlers: Mapping[str, Handler], metrics: CallMetrics | None = None
) -> "grpc.GenericRpcHandler[Any, Any]":
    """
    Return a service as gRPC takes it.

    To gRPC each of its calls is one whose request streams, and whose request is raw bytes.  On the wire that makes no
    difference.  The wait for the request then happens here, under the idle timeout, and a request that cannot be parsed
    is answered with INVALID_ARGUMENT: gRPC itself would answer UNKNOWN.

    Args:
        handlers: the handlers inside the chain, by path.
        metrics: reports the bytes of messages; ``None`` if nobody reads metrics.
    """
    return grpc.method_handlers_generic_handler(
        service.name,
        {method.name: _method_handler(method, handlers[method.path], metrics) for method in service.methods},
    )


def _method_handler(method: Method, handler: Handler, metrics: CallMetrics | None) -> Any:
    async def serve(_: Any, context: Any) -> Any:
        return await handler(None, CallContext(method, context))

    make = grpc.stream_stream_rpc_method_handler if method.streams_replies else grpc.stream_unary_rpc_method_handler
    if metrics is not None:
        return make(serve, metrics.deserializer(method), metrics.serializer(method))
    return make(serve, response_serializer=method.reply and method.reply.SerializeToString)
