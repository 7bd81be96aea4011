"""
The context of one call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar, NoReturn

import grpc
import grpc.aio

from twisted_registry.contracts.quotas import IMeter
from twisted_registry.contracts.tracing import ISpan
from twisted_registry.domain.access import Action, Caller, Credentials, Need, Scope, UnixUser
from twisted_registry.domain.models import VersionInfo
from twisted_registry.protocol.call_metadata import new_request_id, request_id_in, seen_in
from twisted_registry.protocol.trace_context import CREATION_KEY, TRACEPARENT_KEY
from twisted_registry.rpc.methods import Method

Metadatum = tuple[str, str | bytes]


def _ignore_report(event: str, facts: Mapping[str, Any]) -> None:
    return None


class CallContext:
    """
    One call: who makes it, what came with it, and the way to answer.

    All calls are made in the thread of the server's event loop.

    Attributes:
        method: the call's entry in the method table.
        peer: the connection it came on, as gRPC names it, such as ``ipv4:127.0.0.1:5000``, or as the relay of the Unix
            socket does.
        unix_user: the user at the other end of a Unix socket; ``None`` for other connections.
        caller: who makes the call, with its permissions; ``None`` without access control.
        credentials: the credentials that came with the call; ``None`` without access control.
        generation: the state of the access control in which the caller was determined.
        request: the request that was checked, for a later check; ``None`` before, and without access control.
        requests: the messages of its request, a ``RequestStream``; ``None`` before it waits for them.
        asked: the request as the handler takes it; ``None`` before, and without an access log.
        meter: the quotas of bytes that the call is subject to; ``None`` if there are none.
        refusal: why the call was ended while it was under way: its caller may no longer make it.  ``None`` if it was
            not.
        facts: what the audit log is to say about it, beside what every call has.
        work: the part of the call that goes on if the call is cancelled, such as a commit; ``None`` without one, and
            without an audit log.
        report: records a part of what the call has done at once: the event, and its facts.  May be called in any
            thread.  Does nothing without an audit log.
        code: the status it was aborted with; ``OK`` unless it was.
        error_type: the class of the error it was aborted for; ``None`` unless it was.
        number: identifies it among the calls under way; the call tracker sets it.
        read: waits for the next message of the request, and returns its bytes, or gRPC's marker of the end.  Handlers
            take their messages from the request they are given: those are under the idle timeout.
        write: sends a message of a reply that streams.
        span: the span of its trace; ``None`` before it begins, and if calls are not traced.
        began_ns: when it began, in nanoseconds since the Unix epoch; 0 if calls are not traced.
        is_plain: whether it came on a connection that is not encrypted, even if those of gRPC are.
    """

    is_plain: ClassVar[bool] = False

    __slots__ = (
        "_context",
        "_metadata",
        "_request_id",
        "_trailing",
        "asked",
        "began_ns",
        "caller",
        "code",
        "credentials",
        "error_type",
        "facts",
        "generation",
        "meter",
        "method",
        "number",
        "peer",
        "read",
        "refusal",
        "report",
        "request",
        "requests",
        "span",
        "unix_user",
        "work",
        "write",
    )

    def __init__(self, method: Method, context: Any) -> None:
        """

        Args:
            context: gRPC's side of the call, a ``grpc.aio.ServicerContext``.
        """
        self._context = context
        self._metadata: Sequence[Metadatum] | None = None
        self._request_id = ""
        self._trailing: Sequence[Metadatum] = ()
        self.method = method
        self.peer: str = context.peer()
        self.unix_user: UnixUser | None = None
        self.caller: Caller | None = None
        self.credentials: Credentials | None = None
        self.generation = 0
        self.request: Any = None
        self.requests: Any = None
        self.asked: Any = None
        self.meter: IMeter | None = None
        self.refusal: Exception | None = None
        self.facts: dict[str, Any] = {}
        self.work: asyncio.Future[Any] | None = None
        self.report: Callable[[str, Mapping[str, Any]], None] = _ignore_report
        self.code = grpc.StatusCode.OK
        self.error_type: type[Exception] | None = None
        self.number = 0
        self.span: ISpan | None = None
        self.began_ns = 0
        self.read: Callable[[], Awaitable[Any]] = context.read
        self.write: Callable[[Any], Awaitable[None]] = context.write

    @property
    def metadata(self) -> Sequence[Metadatum]:
        """
        The metadata that the client sent.
        """
        if self._metadata is None:
            self._metadata = self._context.invocation_metadata() or ()
        return self._metadata

    @property
    def request_id(self) -> str:
        """
        The id under which the log names this call: the client's ``x-request-id``, or one that is made when first asked
        for.
        """
        if not self._request_id:
            self._request_id = request_id_in(self.metadata) or new_request_id()
        return self._request_id

    def readable(self, model_ids: Sequence[str]) -> Sequence[str]:
        """
        Return those of a sorted list of models that the caller may read.
        """
        return model_ids if self.caller is None else self.caller.permissions.readable(model_ids)

    def may_read(self, model_id: str) -> bool:
        """
        Return whether the caller may read a model.
        """
        return self.caller is None or self.caller.permissions.may_read(model_id)

    @property
    def actor(self) -> str:
        """
        The subject of the caller, under which changes are recorded; empty without access control.
        """
        return "" if self.caller is None else self.caller.identity.subject

    def note(self, **facts: Any) -> None:
        """
        Note facts for the audit log: ids, numbers, hashes, sizes; never metadata.  A call that changes something
        notes its model before it begins.
        """
        self.facts.update(facts)

    def note_used(self, info: VersionInfo) -> None:
        """
        Note the version that was sent.  If calls are traced, the client gets the context in which it was created.
        """
        if self.span is not None:
            self.span.note(version_number=info.version_number, size_bytes=info.size_bytes, archived=info.archived)
            creation = self.span.link(info)
            if creation:
                self.set_trailing_metadata(((CREATION_KEY, creation),))

    @property
    def trace_metadata(self) -> Sequence[Metadatum]:
        """
        The trailing metadata with the context of its span; none before that begins, and if it is not recorded.
        """
        if self.span is None or not self.span.is_recording:
            return ()
        return ((TRACEPARENT_KEY, self.span.traceparent),)

    def seen(self, model_id: str) -> int:
        """
        Return the highest version number of a model that the client has seen; 0 if it does not say.  It moves the
        model's next number, so it counts only from those who may publish.
        """
        number = seen_in(self.metadata)
        if not number or self.caller is None:
            return number
        return number if self.caller.permissions.allow(Need(Action.PUBLISH, Scope(model_id))) else 0

    @property
    def remaining_seconds(self) -> float | None:
        """
        The time left until the client's deadline; ``None`` if it set none.
        """
        seconds: float | None = self._context.time_remaining()
        return seconds

    def connection_facts(self) -> Mapping[str, Iterable[bytes]]:
        """
        Return what gRPC knows of the call's connection, such as the names in the client's certificate.
        """
        facts: Mapping[str, Iterable[bytes]] = self._context.auth_context()
        return facts

    async def send_initial_metadata(self, metadata: Sequence[Metadatum]) -> None:
        """
        Send metadata now, ahead of any reply.
        """
        await self._context.send_initial_metadata(metadata)

    def set_trailing_metadata(self, metadata: Sequence[Metadatum]) -> None:
        """
        Set metadata that are sent with the call's status, in addition to those that were set before.
        """
        self._trailing = (*self._trailing, *metadata)
        self._context.set_trailing_metadata(self._trailing)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """
        Add a function to call once gRPC has sent the call's status, or given the call up.
        """
        self._context.add_done_callback(callback)

    async def abort(self, code: grpc.StatusCode, text: str, trailing: Sequence[Metadatum] = ()) -> NoReturn:
        """
        End the call with an error.

        Raises:
            grpc.aio.AbortError: always; it is to reach gRPC.
        """
        self.code = code
        await self._context.abort(code, text, trailing)
        raise AssertionError("unreachable: abort raises")


COMMITTING_CALL: "ContextVar[CallContext | None]" = ContextVar("committing_call", default=None)
"""The call whose ``work`` is what is started in its context; ``None`` if nobody must know."""
