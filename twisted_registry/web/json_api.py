"""
The calls of ``twisted_registry.v1`` by HTTP: ``POST /api/v1/GetModel`` with a JSON object.

Calls that change nothing can also be made with GET, and their fields in the query.  No other site's page can make a
call in a user's browser: changes need a content type that browsers do not send across sites without asking, and no
answer permits it.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from twisted_registry.contracts.calls import CallFailed, ICalls, LocalCall
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.protocol.json_calls import METHODS, JsonMethod
from twisted_registry.web.caller import call_by
from twisted_registry.web.edge import Defer, Edge
from twisted_registry.web.errors import JSON_TYPE, failed_call, write_error, write_json
from twisted_registry.web.pages import Page
from twisted_registry.web.reply_streams import JsonLines, ServerSentEvents
from twisted_registry.web.requests import NOT_DONE_YET, BoundedRequest
from twisted_registry.web.site import STREAMS_MAX
from twisted_registry.web.version_data import VersionDataPage

_TIMEOUT_KEY = "connect-timeout-ms"
_TIMEOUT_MAX_DIGITS = 10

_SHORT_BYTES = 4096
"""Longer bodies are parsed in a thread, and only those of callers who may make calls: a megabyte can take seconds.  So
are longer replies put into JSON."""

_WITHOUT_JSON = ("ReadVersion",)
"""Calls whose replies are data, which JSON would make longer; there is a page for it."""


def json_api(calls: Callable[[], ICalls], clock: IReactorTime, defer: Defer, streams_max: int = STREAMS_MAX) -> Page:
    """
    Return the page below which the calls are.

    Args:
        calls: returns the way to make calls, once the server runs.
        clock: the clock of heartbeats.
        defer: runs a function in another thread.
        streams_max: the most replies that stream at once.
    """
    edge = Edge(calls, clock, defer, streams_max)
    version = Page()
    for method in METHODS.values():
        if method.name not in _WITHOUT_JSON:
            version.putChild(method.name.encode(), JsonCall(method, edge))
    version.putChild(b"events", JsonCall(METHODS["WatchEvents"], edge))
    version.putChild(b"data", VersionDataPage(edge))
    api = Page()
    api.putChild(b"v1", version)
    return api


class JsonCall(Resource):
    """
    One call.
    """

    isLeaf = True

    def __init__(self, method: JsonMethod, edge: Edge) -> None:
        super().__init__()
        self._method = method
        self._edge = edge

    def render(self, request: Any) -> Any:
        """
        Answer a request.
        """
        if request.method == b"POST":
            self._answer(request, self._from_body)
        elif request.method == b"GET" and self._method.is_reading:
            self._answer(request, self._from_query)
        else:
            allowed = "POST or GET" if self._method.is_reading else "POST"
            request.setHeader(b"allow", allowed.replace(" or", ",").encode())
            request.reply(HTTPStatus.METHOD_NOT_ALLOWED, f"use {allowed}")
            request.finish()
        return NOT_DONE_YET

    def _from_query(self, request: BoundedRequest) -> bytes:
        query = {_text(name): [_text(value) for value in values] for name, values in request.args.items()}
        cursor = request.header("last-event-id")
        if cursor and self._method.name == "WatchEvents":
            query["cursor"] = [cursor]
        return self._method.request_from_query(query)

    def _from_body(self, request: BoundedRequest) -> bytes | Callable[[], bytes]:
        kind = request.header("content-type") or ""
        if kind.partition(";")[0].strip().lower() != JSON_TYPE:
            raise InvalidRequest("the request has another content type; send it as application/json")
        assert request.content is not None, "the request has arrived"
        body = request.content.read()
        if len(body) > _SHORT_BYTES:
            return partial(self._method.request_from_json, body)
        return self._method.request_from_json(body)

    def _answer(self, request: BoundedRequest, read: Callable[[BoundedRequest], bytes | Callable[[], bytes]]) -> None:
        try:
            call = call_by(request, self._method.path, read(request), _timeout_seconds(request))
        except InvalidRequest as error:
            write_error(request, CallFailed("INVALID_ARGUMENT", str(error)))
            return
        if self._method.streams_replies:
            self._stream(request, call)
        else:
            self._call(request, call)

    def _stream(self, request: BoundedRequest, call: LocalCall) -> None:
        if not self._edge.may_stream(request):
            return
        kind = ServerSentEvents if self._method.name == "WatchEvents" else JsonLines
        kind(request, self._method.reply_to_json, self._edge.clock).start(self._edge.calls(), call)

    def _call(self, request: BoundedRequest, call: LocalCall) -> None:
        calling = self._edge.calls().call(call)
        request.notifyFinish().addErrback(lambda _: calling.cancel())

        def to_json(reply: bytes) -> "Deferred[str]":
            convert = partial(self._method.reply_to_json, reply)
            return succeed(convert()) if len(reply) <= _SHORT_BYTES else self._edge.defer(convert)

        def write(text: str) -> None:
            if request.is_open:
                write_json(request, text)

        def fail(failure: Failure) -> None:
            failed = failed_call(failure)
            if request.is_open:
                write_error(request, failed)

        calling.addCallback(to_json).addCallback(write).addErrback(fail)


def _timeout_seconds(request: BoundedRequest) -> float | None:
    text = request.header(_TIMEOUT_KEY)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _TIMEOUT_MAX_DIGITS):
        raise InvalidRequest("the header Connect-Timeout-Ms is not a number of milliseconds; leave it out")
    return int(text) / 1000


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the query is not UTF-8; encode it so") from None
