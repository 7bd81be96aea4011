"""
Calls with any number of replies, by HTTP.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_registry.contracts.calls import CallFailed, ICalls, IReplyStream, LocalCall
from twisted_registry.protocol.json_calls import cursor_of, error_to_json
from twisted_registry.web.errors import failed_call, write_error
from twisted_registry.web.requests import BoundedRequest

_HEARTBEAT_SECONDS = 15.0
"""Proxies close connections on which nothing comes for a minute or so."""


_EVENTS_KEPT = 64
"""So many of the last events are put into JSON once for all streams, which wake together."""

_UNREAD_SECONDS = 120.0
"""After so long in which it has read nothing, a client is taken for dead."""


@implementer(IPushProducer)
class ReplyStream:
    """
    A reply that is written as the messages of a call come, at the client's speed.
    """

    content_type = b"application/octet-stream"

    def __init__(self, request: BoundedRequest, clock: IReactorTime) -> None:
        self._request = request
        self._clock = clock
        self._has_begun = False
        self._abort: IDelayedCall | None = None

    def start(self, calls: ICalls, call: LocalCall) -> None:
        """
        Make the call, and answer the request with its replies.
        """
        self._stream: IReplyStream = calls.stream(call, self._receive)
        # It ends the call if the client leaves, too.
        self._request.registerProducer(self, True)
        self._stream.finished.addCallbacks(self._finish, self._fail)

    # IPushProducer

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        if self._abort is None:  # each heartbeat pauses again
            self._abort = self._clock.callLater(_UNREAD_SECONDS, self._request.connection.abortConnection)
            self._stream.pause()

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._stop_timer()
        self._stream.resume()

    def stopProducing(self) -> None:
        """See ``IPushProducer``."""
        self._stop_timer()
        self._stream.finished.cancel()

    def _stop_timer(self) -> None:
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        self._abort = None

    # Replies

    def _receive(self, reply: bytes) -> None:
        if self._request.is_open:
            self._begin()
            self._request.write(self.encode(reply))

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._request.responseHeaders.setRawHeaders(b"content-type", [self.content_type])
            self.begun()

    def _finish(self, _: Any) -> None:
        self._stop_timer()
        self.ended()
        if self._request.is_open:
            self._begin()
            self._request.unregisterProducer()
            self._request.finish()

    def _fail(self, failure: Failure) -> None:
        self._stop_timer()
        self.ended()
        failed = failed_call(failure)
        if not self._request.is_open:
            return
        self._request.unregisterProducer()
        if self._has_begun:
            self.fail(failed)
        else:
            write_error(self._request, failed)

    # The form

    def begun(self) -> None:
        """
        Called before the first reply is written.
        """

    def ended(self) -> None:
        """
        Called when the call has ended.
        """

    def encode(self, reply: bytes) -> bytes:
        """
        Return a message of the call as it is sent.
        """
        return reply

    def fail(self, failed: CallFailed) -> None:
        """
        Report an error after the first message: by default, the connection is lost.
        """
        self._request.connection.abortConnection()


class JsonLines(ReplyStream):
    """
    Replies in JSON, a line each.
    """

    content_type = b"application/x-ndjson"

    def __init__(self, request: BoundedRequest, to_json: Callable[[bytes], str], clock: IReactorTime) -> None:
        """

        Args:
            to_json: returns a serialized reply in JSON, on one line.
            clock: the clock of heartbeats.
        """
        super().__init__(request, clock)
        self._to_json = to_json

    def encode(self, reply: bytes) -> bytes:
        """See ``ReplyStream.encode``."""
        return self.format(reply).encode()

    def fail(self, failed: CallFailed) -> None:
        """See ``ReplyStream.fail``."""
        self._request.write(self.format_error(error_to_json(failed.code, failed.text, failed.trailing)).encode())
        self._request.finish()

    def format(self, reply: bytes) -> str:
        """
        Return a reply as it is sent.
        """
        return self._to_json(reply) + "\n"

    def format_error(self, error: str) -> str:
        """
        Return an error after the first reply as it is sent.
        """
        return f'{{"error": {error}}}\n'


class ServerSentEvents(JsonLines):
    """
    Events as https://html.spec.whatwg.org/multipage/server-sent-events.html describes them.  A browser that lost the
    connection goes on after the last event it has seen: the id of each is its cursor.
    """

    content_type = b"text/event-stream"

    def begun(self) -> None:
        """
        Begin the heartbeats.
        """
        self._heartbeat = LoopingCall(self._beat)
        self._heartbeat.clock = self._clock
        self._heartbeat.start(_HEARTBEAT_SECONDS, now=False)

    def _beat(self) -> None:
        self._request.write(b":\n\n")

    def ended(self) -> None:
        """
        End the heartbeats.
        """
        if self._has_begun:
            self._heartbeat.stop()

    def format(self, reply: bytes) -> str:
        """
        Return an event as it is sent.
        """
        return _event(self._to_json, reply)

    def format_error(self, error: str) -> str:
        """
        Return an error as it is sent: an event of the kind ``failed``.
        """
        return f"event: failed\ndata: {error}\n\n"


@lru_cache(maxsize=_EVENTS_KEPT)
def _event(to_json: Callable[[bytes], str], reply: bytes) -> str:
    return f"id: {cursor_of(reply)}\ndata: {to_json(reply)}\n\n"
