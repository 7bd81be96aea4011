"""
The interceptor that reports calls to the access log.

Whether a call gets a line is decided before it begins, so that the lines are a fair sample.  Failed and slow calls get
one in any case, up to a limit.  Clients get the request ids of the calls that have a line.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from twisted_registry.contracts.access_log import CallRecord, IAccessLog
from twisted_registry.domain.errors import RegistryError
from twisted_registry.protocol.call_metadata import REQUEST_ID_KEY
from twisted_registry.protocol.error_map import reason_of_type
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.idle_timeout import RequestStream
from twisted_registry.rpc.methods import Handler, Method

_LINES_MAX = 100
"""The most lines a second about calls that were not chosen."""

_OK, _CANCELLED = "OK", "CANCELLED"


class AccessLogging:
    """
    The interceptor.  It has two parts: the outer one sees how calls end, and the inner one what they ask for.
    """

    def __init__(
        self,
        log: IAccessLog,
        now_seconds: Callable[[], float] = time.perf_counter,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """

        Args:
            log: the access log.
            now_seconds: returns the time in seconds from any fixed point.
            call_later: calls a function after some seconds; ``None`` for the running event loop's.
        """
        self._log = log
        self._now_seconds = now_seconds
        self._call_later = call_later
        self._since_seconds = -math.inf
        self._written = self._missing = 0

    # The outer part

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls are logged.
        """
        now_seconds, chooses = self._now_seconds, self._log.chooses
        has_one_reply = not (method.streams_requests or method.streams_replies)
        slow_seconds = self._log.slow_seconds if has_one_reply else math.inf

        async def handle(request: Any, call: CallContext) -> Any:
            began = now_seconds()
            is_chosen = chooses()
            sent = self._begin(call) if is_chosen and method.streams_replies else None
            try:
                reply = await handler(request, call)
            except BaseException as error:
                self._ended_badly(call, error, now_seconds() - began, is_chosen, sent)
                raise
            seconds = now_seconds() - began
            if is_chosen or (seconds >= slow_seconds and self._may_write()):
                call.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
                record = _record(call, is_chosen)
                record.code, record.seconds = _OK, seconds
                self._write(record, call, _length(reply) if has_one_reply or sent is None else sent)
            return reply

        return handle

    def _begin(self, call: CallContext) -> "_Sent":
        if call.method.lasts:
            self._log.write(_record(call, True))
        return _Sent(call)

    def _ended_badly(
        self, call: CallContext, error: BaseException, seconds: float, is_chosen: bool, sent: "_Sent | None"
    ) -> None:
        code = _CANCELLED if isinstance(error, asyncio.CancelledError) else call.code.name
        # Clients that leave are nothing unusual: most subscriptions end so.
        if not is_chosen and (code == _CANCELLED or not self._may_write()):
            return
        record = _record(call, is_chosen)
        record.code, record.seconds = code, seconds
        if call.error_type is not None:
            record.reason = reason_of_type(call.error_type)
        self._write(record, call, sent)

    def _write(self, record: CallRecord, call: CallContext, sent: "_Sent | int | None") -> None:
        received = call.requests
        record.received_bytes = 0 if received is None else received.received_bytes
        if isinstance(sent, _Sent):
            record.sent_bytes, record.sent_messages = sent.size_bytes, sent.messages
        else:
            record.sent_bytes = sent
        self._log.write(record)

    def _may_write(self) -> bool:
        now = self._now_seconds()
        if now >= self._since_seconds + 1.0:
            self._since_seconds, self._written = now, 0
        if self._written < _LINES_MAX:
            self._written += 1
            return True
        if not self._missing:
            later = self._call_later or asyncio.get_running_loop().call_later
            later(1.0, self.flush)
        self._missing += 1
        return False

    def flush(self) -> None:
        """
        Log how many calls got no line, if there are any.
        """
        missing, self._missing = self._missing, 0
        if missing:
            self._log.report_missing(missing)

    # The inner part

    @staticmethod
    def keep_requests(method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls keep their request, in which the line finds the model.
        """

        def handle(request: Any, call: CallContext) -> Awaitable[Any]:
            call.asked = request
            return handler(request, call)

        return handle


class _Sent:
    """
    The count of what a call sends.
    """

    def __init__(self, call: CallContext) -> None:
        self.messages = self.size_bytes = 0
        self._write = call.write
        call.write = self.write

    def write(self, message: Any) -> Awaitable[None]:
        """
        Send a message.
        """
        self.messages += 1
        self.size_bytes += _length(message) or 0
        return self._write(message)


def _length(message: Any) -> int | None:
    if message is None:
        return None
    return len(message) if isinstance(message, bytes) else int(message.ByteSize())


def _record(call: CallContext, is_sampled: bool) -> CallRecord:
    identity = None if call.caller is None else call.caller.identity
    model_id, reference = _subject(call)
    return CallRecord(
        call.method.path,
        call.peer,
        call.request_id,
        "" if identity is None else identity.subject,
        "" if identity is None else identity.token_id,
        model_id,
        reference,
        call.facts.get("version_number") or 0,
        is_sampled,
    )


def _subject(call: CallContext) -> tuple[str, str]:
    """
    Return the model that a call is about, and the reference to a version; empty if it names none.
    """
    asked, method = call.asked, call.method
    if isinstance(asked, RequestStream):
        asked = asked.known_header
    model_id = call.facts.get("model_id", "")
    if asked is None:
        return model_id, ""
    try:
        if not model_id and method.resource is not None:
            model_id = method.resource(asked) or ""
        return model_id, "" if method.reference is None else method.reference(asked)
    except RegistryError:  # the request is not valid
        return model_id, ""
