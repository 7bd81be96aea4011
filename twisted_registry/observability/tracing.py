"""
The traces of the registry, by OpenTelemetry.  Imported only if they are asked for.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import AttributeValue
from zope.interface import implementer

from twisted_registry import __version__
from twisted_registry.contracts.tracing import ISpan, ITracer, TracedCall
from twisted_registry.domain.models import VersionInfo

MODEL_ID = "twisted_registry.model.id"
VERSION_NUMBER = "twisted_registry.version.number"
VERSION_SIZE = "twisted_registry.version.size"
SUBSCRIBERS = "twisted_registry.subscribers"
SENT = "twisted_registry.sent"

_ATTRIBUTES: Mapping[str, str] = {
    "model_id": MODEL_ID,
    "version_number": VERSION_NUMBER,
    "size_bytes": VERSION_SIZE,
    "archived": "twisted_registry.version.archived",
    "alias": "twisted_registry.alias",
    "request_id": "twisted_registry.request.id",
    "caller": "user.id",
    "peer": "network.peer.address",
    "sent": SENT,
}
"""The attributes of spans, by the names of the facts."""

_GRPC_CODES: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        (
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        )
    )
}

_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""The codes that are a fault of the server, as OpenTelemetry's conventions for RPC have it."""

_TEXT_MAX_CHARACTERS = 256

_CREATIONS_MAX = 10_000
"""For how many versions it is remembered which call has created them; each takes some 300 bytes."""

_NO_CONTEXT = trace.set_span_in_context(trace.INVALID_SPAN)

VersionId = tuple[str, int, int]


def _id_of(info: VersionInfo) -> VersionId:
    # A model that is deleted and created again counts from 1.
    return info.model_id, info.version_number, info.created_ns


def _traceparent(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def context_of(traceparent: str, tracestate: str = "") -> SpanContext:
    """
    Return a context as OpenTelemetry has it.

    Args:
        traceparent: a valid context, in the form of W3C's Trace Context.
        tracestate: the further context of that form; may be empty.
    """
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16) & TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([tracestate]) if tracestate else None,
    )


class Creations:
    """
    The contexts of the calls that have created the last versions.
    """

    def __init__(self, most: int = _CREATIONS_MAX) -> None:
        self._most = most
        self._lock = Lock()
        self._traceparents: OrderedDict[VersionId, str] = OrderedDict()

    def add(self, info: VersionInfo, traceparent: str) -> None:
        """
        Remember a creation, and forget the oldest one if there are too many.
        """
        with self._lock:
            self._traceparents[_id_of(info)] = traceparent
            if len(self._traceparents) > self._most:
                self._traceparents.popitem(last=False)

    def find(self, info: VersionInfo) -> str:
        """
        Return the context of the call that has created a version; empty if it is not known.
        """
        return self._traceparents.get(_id_of(info), "")


@implementer(ITracer)
class Tracer:
    """
    The source of spans.
    """

    def __init__(self, provider: TracerProvider, creations: Creations | None = None) -> None:
        self._tracer = provider.get_tracer("twisted_registry", __version__)
        self._creations = Creations() if creations is None else creations

    def begin_call(self, call: TracedCall) -> "TracedSpan":
        """See ``ITracer.begin_call``."""
        parent, links = trace.INVALID_SPAN_CONTEXT, []
        if call.traceparent:
            caller = context_of(call.traceparent, call.tracestate)
            if call.is_trusted:
                parent = caller
            else:
                links = [Link(caller)]
        attributes = {"rpc.system": "grpc", "rpc.service": call.service, "rpc.method": call.method}
        name, kind = f"{call.service}/{call.method}", SpanKind.SERVER
        span = self.begin(name, parent, kind, attributes, links, call.began_ns)
        if span.is_recording:
            span.note(peer=_address_of(call.peer))
        return span

    def creation_of(self, info: VersionInfo) -> str:
        """See ``ITracer.creation_of``."""
        return self._creations.find(info)

    def record_creation(self, info: VersionInfo, traceparent: str) -> None:
        """
        Remember in which context a version was created.
        """
        self._creations.add(info, traceparent)

    def begin_push(self, info: VersionInfo, subscribers: int) -> "TracedSpan | None":
        """See ``ITracer.begin_push``."""
        traceparent = self.creation_of(info)
        if not traceparent:
            return None
        attributes: dict[str, AttributeValue] = {
            MODEL_ID: info.model_id,
            VERSION_NUMBER: info.version_number,
            SUBSCRIBERS: subscribers,
        }
        span = self.begin("push version", context_of(traceparent), SpanKind.PRODUCER, attributes)
        return span if span.is_recording else None

    def begin(
        self,
        name: str,
        parent: SpanContext,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] = (),
        began_ns: int | None = None,
    ) -> "TracedSpan":
        """
        Begin a span.

        Args:
            parent: the context of what it is a part of; an invalid one for a new trace.
            began_ns: in nanoseconds since the Unix epoch; ``None`` for now.
        """
        # Never the context of this thread: these spans go from thread to thread by other means.
        context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent.is_valid else _NO_CONTEXT
        return TracedSpan(self, self._tracer.start_span(name, context, kind, attributes, links, began_ns))


@implementer(ISpan)
class TracedSpan:
    """
    A span.

    Attributes:
        is_recording: see ``ISpan.is_recording``.
    """

    __slots__ = ("_span", "_tracer", "is_recording")

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self.is_recording = span.is_recording()

    @property
    def traceparent(self) -> str:
        """See ``ISpan.traceparent``."""
        return _traceparent(self._span.get_span_context())

    def note(self, **facts: object) -> None:
        """See ``ISpan.note``."""
        for name, value in facts.items():
            key = _ATTRIBUTES.get(name)
            if key is not None and isinstance(value, str | bool | int | float) and value != "":
                # A request that is refused later may name anything, and the span waits in memory.
                self._span.set_attribute(key, value[:_TEXT_MAX_CHARACTERS] if isinstance(value, str) else value)

    def begin(self, name: str) -> "TracedSpan":
        """See ``ISpan.begin``."""
        return self._tracer.begin(name, self._span.get_span_context())

    def took(self, name: str, seconds: float) -> None:
        """See ``ISpan.took``."""
        now_ns = time.time_ns()
        began_ns = now_ns - int(seconds * 10**9)
        part = self._tracer.begin(name, self._span.get_span_context(), began_ns=began_ns)
        part._span.end(now_ns)

    def created(self, info: VersionInfo) -> None:
        """See ``ISpan.created``."""
        self._tracer.record_creation(info, self.traceparent)

    def link(self, info: VersionInfo) -> str:
        """See ``ISpan.link``."""
        traceparent = self._tracer.creation_of(info)
        if self.is_recording and traceparent:
            creation = context_of(traceparent)
            if creation.trace_id != self._span.get_span_context().trace_id:
                self._span.add_link(creation)
        return traceparent

    def end(self, error: BaseException | None = None) -> None:
        """See ``ISpan.end``."""
        if error is not None and self.is_recording:
            self._span.set_attribute("error.type", type(error).__name__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def end_call(self, code: str) -> None:
        """See ``ISpan.end_call``."""
        if self.is_recording:
            self._span.set_attribute("rpc.grpc.status_code", _GRPC_CODES[code])
            if code != "OK":
                self._span.set_attribute("error.type", code)
            if code in _FAULTS:
                self._span.set_status(Status(StatusCode.ERROR, code))
        self._span.end()


def _address_of(peer: str) -> str:
    kind, _, address = peer.partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else address or peer
