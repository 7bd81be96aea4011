"""
The interceptors that trace calls.

A call's span begins when it is known who makes the call: a span of a caller that is not signed in does not decide
whether this server records the call.  The span of a call that was refused before that begins and ends at its end.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc

from twisted_registry.contracts.tracing import CURRENT_SPAN, ISpan, ITracer, TracedCall
from twisted_registry.domain.errors import RegistryError
from twisted_registry.protocol.trace_context import trace_context_in
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method


class CallTracing:
    """
    The interceptors.
    """

    def __init__(
        self,
        tracer: ITracer,
        has_access_control: bool,
        names_callers: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """

        Args:
            has_access_control: whether callers sign in; if not, all of them are trusted alike.
            names_callers: whether the spans name the callers.
            now_ns: returns the time in nanoseconds since the Unix epoch.
        """
        self._tracer = tracer
        self._has_access_control = has_access_control
        self._names_callers = names_callers
        self._now_ns = now_ns

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that each of its calls has a span, which ends with the status of the call.
        """

        async def handle(request: Any, call: CallContext) -> Any:
            call.began_ns = self._now_ns()
            is_cancelled = False
            try:
                return await handler(request, call)
            except asyncio.CancelledError:
                is_cancelled = True
                raise
            finally:
                span = call.span or self._begin(call)
                span.end_call((grpc.StatusCode.CANCELLED if is_cancelled else call.code).name)

        return handle

    def begin(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that the spans of its calls begin.  Its place is behind the authentication, and where the
        request is known.
        """

        async def handle(request: Any, call: CallContext) -> Any:
            span = call.span = self._begin(call)
            if span.is_recording:
                self._describe(span, call, request)
                call.set_trailing_metadata(call.trace_metadata)
            token = CURRENT_SPAN.set(span)
            try:
                return await handler(request, call)
            finally:
                CURRENT_SPAN.reset(token)
                if span.is_recording:
                    span.note(**call.facts)

        return handle

    def _begin(self, call: CallContext) -> ISpan:
        service, name = call.method.path[1:].split("/")
        traceparent, tracestate = trace_context_in(call.metadata)
        is_trusted = not self._has_access_control or (call.caller is not None and not call.caller.identity.is_anonymous)
        return self._tracer.begin_call(
            TracedCall(service, name, call.peer, call.began_ns, traceparent, tracestate, is_trusted)
        )

    def _describe(self, span: ISpan, call: CallContext, request: Any) -> None:
        span.note(request_id=call.request_id)
        if self._names_callers:
            span.note(caller=call.actor)
        resource = call.method.resource
        if resource is not None and not call.method.streams_requests:
            with suppress(RegistryError):  # the handler refuses the request
                span.note(model_id=resource(request))
