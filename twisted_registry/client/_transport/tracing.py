"""
Traces of the program that uses the client, which go on in the registry.

OpenTelemetry is used if the program has imported it, and never imported here: a program without it has no trace.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from twisted_registry import __version__
from twisted_registry.domain.models import VersionInfo
from twisted_registry.protocol.trace_context import TRACEPARENT_KEY, TRACESTATE_KEY, creation_in

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.trace import Span, SpanContext, TracerProvider

_MODULE = "opentelemetry.trace"
_TRACESTATE_MAX_CHARACTERS = 512

_MODEL_ID = "twisted_registry.model.id"
_VERSION_NUMBER = "twisted_registry.version.number"
_VERSION_SIZE = "twisted_registry.version.size"


class ClientSpan:
    """
    The span of a transfer.
    """

    def __init__(self, span: "Span | None" = None) -> None:
        """

        Args:
            span: the span; ``None`` if nothing is traced.
        """
        self._span = span

    def note(self, info: VersionInfo | None) -> None:
        """
        Note the version that was transferred; ``None`` if it is not known.
        """
        if self._span is not None and info is not None:
            self._span.set_attributes({_VERSION_NUMBER: info.version_number, _VERSION_SIZE: info.size_bytes})


_NO_SPAN = ClientSpan()


class ClientTraces:
    """
    The traces of this program, as far as they concern the registry.
    """

    def __init__(
        self, modules: Mapping[str, Any] = sys.modules, provider: "Callable[[], TracerProvider] | None" = None
    ) -> None:
        """

        Args:
            modules: the modules that are imported, by name.
            provider: returns the source of tracers; ``None`` for that of the program.
        """
        self._modules = modules
        self._provider = provider
        self._last: tuple[Any, Any] = (None, None)

    @property
    def _api(self) -> "Any | None":
        module = self._modules.get(_MODULE)
        # Another thread may be importing it.
        return None if module is None or not hasattr(module, "NoOpTracerProvider") else module

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """
        The metadata of a call that is a part of the current span; none without a span.
        """
        api = self._api
        return () if api is None else _metadata_of(api.get_current_span().get_span_context())

    @contextmanager
    def span(self, name: str, model_id: str, address: str, parent: str = "") -> Iterator[ClientSpan]:
        """
        Trace what runs inside the context.

        Args:
            name: what is done.
            model_id: the model.
            address: the address of the registry.
            parent: the context of the span that this one is a part of, in the form of W3C's Trace Context; empty for
                the current one.
        """
        tracer = self._tracer()
        if tracer is None:
            yield _NO_SPAN
            return
        api = self._modules[_MODULE]
        attributes = {_MODEL_ID: model_id, "server.address": address}
        context = api.set_span_in_context(api.NonRecordingSpan(_context_of(api, parent))) if parent else None
        # The text of an error may have more in it than belongs in a trace: its class is enough.
        with tracer.start_as_current_span(
            name, context, api.SpanKind.CLIENT, attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield ClientSpan(span)
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(api.StatusCode.ERROR)
                raise

    @property
    def begins_here(self) -> bool:
        """
        True if traces are made, and there is no span that a call would be a part of.
        """
        return self._tracer() is not None and not self.metadata

    def link_creation(self, trailing: Any) -> None:
        """
        Link the current span with the creation of a version.

        Args:
            trailing: the trailing metadata of the call that has sent the version.
        """
        api = self._api
        creation = "" if api is None else creation_in(trailing)
        if creation:
            span, context = self._modules[_MODULE].get_current_span(), _context_of(api, creation)
            if span.is_recording() and span.get_span_context().trace_id != context.trace_id:
                span.add_link(context)

    def _tracer(self) -> Any:
        """
        Return the tracer of the client; ``None`` if the program makes no traces.
        """
        api = self._api
        if api is None:
            return None
        provider = api.get_tracer_provider() if self._provider is None else self._provider()
        if provider is not self._last[0]:
            is_real = not isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider)
            self._last = provider, provider.get_tracer("twisted_registry.client", __version__) if is_real else None
        return self._last[1]


def _metadata_of(context: "SpanContext") -> tuple[tuple[str, str], ...]:
    if not context.is_valid:
        return ()
    traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    tracestate = context.trace_state.to_header()
    if not tracestate or len(tracestate) > _TRACESTATE_MAX_CHARACTERS:
        return ((TRACEPARENT_KEY, traceparent),)
    return ((TRACEPARENT_KEY, traceparent), (TRACESTATE_KEY, tracestate))


def _context_of(api: Any, traceparent: str) -> "trace.SpanContext":
    _, trace_id, span_id, flags = traceparent.split("-")
    sampled = api.TraceFlags(int(flags, 16) & api.TraceFlags.SAMPLED)
    context: trace.SpanContext = api.SpanContext(int(trace_id, 16), int(span_id, 16), True, sampled)
    return context


traces = ClientTraces()
"""The traces of this process."""
