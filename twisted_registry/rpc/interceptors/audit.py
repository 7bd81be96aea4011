"""
The interceptor that records calls in the audit log: those that change something, and those that are refused.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from twisted.logger import Logger

from twisted_registry.contracts.access import IAccess, IAuditLog
from twisted_registry.domain.access import Action
from twisted_registry.domain.errors import (
    AuditUnavailable,
    NotAuthenticated,
    NotPermitted,
    QuotaExceeded,
    RegistryError,
    SignInsThrottled,
)
from twisted_registry.domain.models import VersionInfo
from twisted_registry.protocol import error_map
from twisted_registry.rpc.call import COMMITTING_CALL, CallContext
from twisted_registry.rpc.interceptors.authentication import token_in
from twisted_registry.rpc.interceptors.idle_timeout import RequestStream
from twisted_registry.rpc.interceptors.refusal_lines import RefusalLines
from twisted_registry.rpc.methods import Handler, Method

_log = Logger()

_UNCHANGED = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
    }
)
"""The results of calls that have changed nothing."""

_REFUSED = (NotAuthenticated, NotPermitted, QuotaExceeded, SignInsThrottled)
_NEVER_UNRECORDED = frozenset({Action.DELETE, Action.ALIAS, Action.ADMIN})
"""The actions that are refused while they cannot be recorded."""

_RECORD_SECONDS = 10.0
_FINISH_SECONDS = 10.0
_TEXTS = ("model_id", "alias", "source", "prefix")
_TEXT_MAX_CHARACTERS = 1024
"""The longest of these, and of names of callers, that a line has: a call that is refused may name anything."""


class Audit:
    """
    The interceptor.  A call that only reads costs nothing, unless it is refused.

    A durable act is answered once its line is durable.  If its line cannot be written, it is answered nevertheless,
    because it was done, and the daemon's log has the line.
    """

    def __init__(
        self, log: IAuditLog, access: IAccess | None = None, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """

        Args:
            access: tells the public part of a token that is refused; ``None`` without access control.
            seconds: returns the time in seconds from any fixed point.
        """
        self._log = log
        self._access = access
        self._seconds = seconds
        self._refusals = RefusalLines(log, seconds)
        self._unfinished: dict[asyncio.Future[Any], Callable[[str], None]] = {}

    # The outer part: what comes of a call

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls are recorded, if they change something.
        """
        if not method.is_change:
            return handler
        is_publication = method.action is Action.PUBLISH

        async def handle(request: Any, call: CallContext) -> Any:
            began = self._seconds()
            if is_publication:
                COMMITTING_CALL.set(call)  # each call has its own context
            else:
                call.report = lambda event, facts: self._log.append(self._part(call, event, facts))
            try:
                reply = await handler(request, call)
            except BaseException as error:
                await self._failed(call, began, error)
                raise
            finally:
                # The work's context, or its error, holds the call: both would stay until the garbage collector runs.
                call.work = None
                if is_publication:
                    COMMITTING_CALL.set(None)
            entry = self._entry(call, "OK", began)
            if is_publication and not call.facts.get("archived"):
                self._log.append(entry)
            else:
                await self._record(entry)
            return reply

        return handle

    async def _failed(self, call: CallContext, began: float, error: BaseException) -> None:
        result = result_of(error, call)
        if call.work is not None and not _has_failed(call.work):
            self._record_later(call, began, result, call.work)
        elif _is_refusal(call, result, error):
            if self._may_write(call):
                self._log.append(self._entry(call, result, began, error))
        elif result == "CANCELLED":
            self._log.append(self._entry(call, result, began))
        else:
            await self._record(self._entry(call, result, began))

    def _record_later(self, call: CallContext, began: float, answer: str, work: "asyncio.Future[Any]") -> None:
        # The client gets no reply, or an error, but what it asked for goes on, or was done at the same moment.
        def record(result: str) -> None:
            self._log.append({**self._entry(call, result, began), "answer": answer})

        def done(work: "asyncio.Future[Any]") -> None:
            if self._unfinished.pop(work, None) is None:
                return
            error = asyncio.CancelledError() if work.cancelled() else work.exception()
            if error is None and isinstance(info := work.result(), VersionInfo):
                call.note(version_number=info.version_number, size_bytes=info.size_bytes, sha256=info.sha256)
            record("OK" if error is None else result_of(error, call))

        self._unfinished[work] = record
        if work.done():
            done(work)
        else:
            work.add_done_callback(done)

    async def _record(self, entry: Mapping[str, Any]) -> None:
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._log.record(entry)), _RECORD_SECONDS)
        except (AuditUnavailable, TimeoutError):
            _log.error("the audit log may lack this entry: {entry}", entry=json.dumps(entry, sort_keys=True))

    def note_refusal(self, call: CallContext, error: Exception) -> None:
        """
        Record that a call that only reads was refused.
        """
        method = call.method
        if method.is_change or method.action is Action.NONE or not isinstance(error, _REFUSED):
            return
        if self._may_write(call):
            self._log.append(self._entry(call, result_of(error, call), error=error))

    def _may_write(self, call: CallContext) -> bool:
        return self._refusals.may_write(call.peer, None if call.caller is None else call.caller.identity)

    async def finish(self, timeout_seconds: float = _FINISH_SECONDS) -> None:
        """
        Wait for what goes on after its call, and record the refusals that were counted.

        Args:
            timeout_seconds: how long to wait; the result of what takes longer is recorded as unknown.
        """
        if self._unfinished:
            await asyncio.wait(list(self._unfinished), timeout=timeout_seconds)
        unfinished, self._unfinished = self._unfinished, {}
        for record in unfinished.values():
            record("UNKNOWN")
        self._refusals.flush()

    # The inner part: before the act

    def begin_act(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls are refused if they must be recorded and cannot be.

        An act in one message is finished even if the client leaves, so that its result is known.
        """
        if not method.is_change:
            return handler
        runs_on = method.action is not Action.PUBLISH and not method.streams_replies

        async def handle(request: Any, call: CallContext) -> Any:
            if self._log.problem:
                await self._check(request, call)
            if not runs_on:
                return await handler(request, call)
            call.work = asyncio.ensure_future(handler(request, call))
            return await asyncio.shield(call.work)

        return handle

    async def _check(self, request: Any, call: CallContext) -> None:
        header = await request.header() if isinstance(request, RequestStream) else request
        if header is None:
            return  # the handler refuses it
        needs = await call.method.needs(header)
        if self._log.is_required or any(need.action in _NEVER_UNRECORDED for need in needs):
            raise AuditUnavailable(self._log.problem)

    # Entries

    def _entry(
        self, call: CallContext, result: str, began: float | None = None, error: BaseException | None = None
    ) -> dict[str, Any]:
        entry = self._part(call, "call", call.facts)
        entry["result"] = result
        if began is not None:
            entry["duration_ms"] = round((self._seconds() - began) * 1000, 3)
        if error is not None:
            self._add_refusal(entry, call, error)
        return entry

    def _part(self, call: CallContext, event: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = {
            **facts,
            "event": event,
            "method": call.method.path,
            "peer": call.peer,
            "request_id": call.request_id,
        }
        for name in _TEXTS:
            if name in entry:
                entry[name] = _short(entry[name])
        if call.caller is not None:
            identity = call.caller.identity
            entry["identity"] = {"kind": identity.kind, "name": _short(identity.name)}
            if identity.token_id:
                entry["identity"]["token_id"] = identity.token_id
        return entry

    def _add_refusal(self, entry: dict[str, Any], call: CallContext, error: BaseException) -> None:
        if isinstance(error, NotPermitted | QuotaExceeded) and "model_id" not in entry and call.request is not None:
            entry.update(_model_in(call))
        if isinstance(error, NotAuthenticated) and self._access is not None:
            try:
                token_id = self._access.public_part(token_in(call))
            except RegistryError:
                return
            if token_id:
                entry["refused_token_id"] = token_id


def _has_failed(work: "asyncio.Future[Any]") -> bool:
    return work.done() and (work.cancelled() or work.exception() is not None)


def _is_refusal(call: CallContext, result: str, error: BaseException) -> bool:
    """
    Return whether a call that failed has certainly changed nothing.
    """
    if not call.facts or isinstance(error, _REFUSED):
        return True  # handlers note the model before they begin
    return result in _UNCHANGED and "version_count" not in call.facts


def result_of(error: BaseException, call: CallContext) -> str:
    """
    Return the name of the status with which an error ends a call.
    """
    if isinstance(error, grpc.aio.AbortError):
        return call.code.name
    if isinstance(error, asyncio.CancelledError | grpc.aio.InternalError):  # the client has left
        return "CANCELLED"
    return error_map.code_of(error)


def _model_in(call: CallContext) -> Mapping[str, str]:
    resource = call.method.resource
    try:
        model_id = None if resource is None else resource(call.request)
    except RegistryError:
        return {}
    return {} if model_id is None else {"model_id": _short(model_id)}


def _short(text: str) -> str:
    return text[:_TEXT_MAX_CHARACTERS]
