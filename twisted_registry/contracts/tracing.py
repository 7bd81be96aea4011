"""
The contract of traces: calls and their parts as spans, which a collector joins with those of other programs.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TypeVar

from attrs import frozen
from zope.interface import Attribute, Interface

from twisted_registry.domain.models import VersionInfo

T = TypeVar("T")


@frozen
class TracedCall:
    """
    A call whose span begins.

    Attributes:
        service: the full name of the service, such as ``cogmentAPI.ModelRegistrySP``.
        method: the name of the method.
        peer: the connection it came on, in gRPC's form, such as ``ipv4:127.0.0.1:5000``.
        began_ns: when it began, in nanoseconds since the Unix epoch.
        traceparent: the context of the caller's span, in the form of W3C's Trace Context; empty if there is none.
        tracestate: the further context of that form; may be empty.
        is_trusted: whether the caller decides with its span if the call is recorded.  Otherwise the span begins a trace
            of this server, with a link to that of the caller.
    """

    service: str
    method: str
    peer: str
    began_ns: int
    traceparent: str = ""
    tracestate: str = ""
    is_trusted: bool = False


class ISpan(Interface):
    """
    A part of a trace.  May be used in any thread.
    """

    traceparent: str = Attribute("Its context, in the form of W3C's Trace Context.")
    is_recording: bool = Attribute("Whether it is recorded; if not, it only carries its context.")

    def note(**facts: object) -> None:
        """
        Note facts about it.  Those that traces do not show are ignored.

        Args:
            facts: values by the names that they have in the audit log, such as ``model_id``.
        """

    def begin(name: str) -> "ISpan":
        """
        Begin a part of it.

        Args:
            name: what is done.

        Returns:
            The span of that part.
        """

    def took(name: str, seconds: float) -> None:
        """
        Record a part of it that ends now.

        Args:
            name: what was done.
            seconds: how long it took.
        """

    def created(info: VersionInfo) -> None:
        """
        Record that it has created a version.  The pushes of the version belong to the same trace.

        Args:
            info: the version.
        """

    def link(info: VersionInfo) -> str:
        """
        Link it with the creation of a version, unless that is in the same trace.

        Args:
            info: the version.

        Returns:
            The context of the span that has created the version; empty if it is not known.
        """

    def end(error: BaseException | None = None) -> None:
        """
        End it.

        Args:
            error: why it failed; ``None`` if it did not.
        """

    def end_call(code: str) -> None:
        """
        End the span of a call.

        Args:
            code: the name of its status code, such as ``OK``.
        """


class ITracer(Interface):
    """
    The source of spans.  May be used in any thread.
    """

    def begin_call(call: TracedCall) -> ISpan:
        """
        Begin the span of a call.

        Args:
            call: the call.

        Returns:
            The span.
        """

    def creation_of(info: VersionInfo) -> str:
        """
        Return the context of the call that has created a version.

        Args:
            info: the version.

        Returns:
            The context, in the form of W3C's Trace Context; empty if it is not known.
        """

    def begin_push(info: VersionInfo, subscribers: int) -> ISpan | None:
        """
        Begin the span of a push: a new version is announced to its subscribers.

        Args:
            info: the version.
            subscribers: their number.

        Returns:
            The span, in the trace of the version's creation; ``None`` if that is not recorded.
        """


CURRENT_SPAN: ContextVar[ISpan | None] = ContextVar("current_span", default=None)
"""The span of what runs in this context; ``None`` if nothing is traced."""


class NoSpan:
    """
    A context manager that does nothing.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class SpanContext:
    """
    A context manager: the part of a trace that runs inside.
    """

    def __init__(self, span: ISpan) -> None:
        """

        Args:
            span: the span of that part, which ends with it.
        """
        self._span = span

    def __enter__(self) -> None:
        self._token: Token[ISpan | None] = CURRENT_SPAN.set(self._span)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A coroutine that is never resumed is closed in another context.
        if kind is not GeneratorExit:
            CURRENT_SPAN.reset(self._token)
        self._span.end(error)


_NO_SPAN = NoSpan()


def part_of(span: ISpan | None, name: str) -> SpanContext | NoSpan:
    """
    Return a context manager, inside which a part of a span runs.

    Args:
        span: the span; ``None`` if nothing is traced.
        name: what is done.
    """
    return _NO_SPAN if span is None or not span.is_recording else SpanContext(span.begin(name))


def part(name: str) -> SpanContext | NoSpan:
    """
    Return a context manager, inside which a part of the current span runs.

    Args:
        name: what is done.
    """
    return part_of(CURRENT_SPAN.get(), name)


def as_part_of(span: ISpan | None, name: str, job: Callable[[], T]) -> Callable[[], T]:
    """
    Return a job that is a part of a span, whichever thread it runs in.

    Args:
        span: the span; ``None`` if nothing is traced.
        name: what it does.
        job: the job.
    """
    if span is None or not span.is_recording:
        return job
    traced = span

    def run() -> T:
        with SpanContext(traced.begin(name)):
            return job()

    return run


def note_part(name: str, seconds: float) -> None:
    """
    Record a part of the current span that ends now.

    Args:
        name: what was done.
        seconds: how long it took.
    """
    span = CURRENT_SPAN.get()
    if span is not None and span.is_recording:
        span.took(name, seconds)
