"""
Traces of tests, in memory.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = f"{REMOTE[:-1]}0"


def ids(traceparent: str) -> tuple[int, int]:
    """
    Return the ids of the trace and of the span in a context.
    """
    _, trace_id, span_id, _ = traceparent.split("-")
    return int(trace_id, 16), int(span_id, 16)


class Traces:
    """
    A provider of spans that keeps those that have ended.

    Attributes:
        provider: the provider.
    """

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def ended(self) -> Sequence[ReadableSpan]:
        """
        Return the spans that have ended, in this order.
        """
        return self._exporter.get_finished_spans()

    def only(self) -> ReadableSpan:
        """
        Return the only span that has ended.
        """
        (span,) = self.ended()
        return span


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    """
    Return the attributes of a span.
    """
    return dict(span.attributes or {})


def context_ids(span: ReadableSpan) -> tuple[int, int]:
    """
    Return the ids of the trace and of the span.
    """
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent_ids(span: ReadableSpan) -> tuple[int, int] | None:
    """
    Return the ids of the trace and of the parent; ``None`` for the first span of a trace.
    """
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)


def linked_ids(span: ReadableSpan) -> list[tuple[int, int]]:
    """
    Return the ids of the spans that a span is linked with.
    """
    return [(link.context.trace_id, link.context.span_id) for link in span.links]
