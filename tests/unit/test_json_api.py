"""
Tests of the calls in JSON, over HTTP.
"""

import json
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from twisted_registry.contracts.calls import CallFailed, ICalls, IReplyStream, LocalCall
from twisted_registry.domain.errors import InvalidRequest, QuotaExceeded
from twisted_registry.protocol.error_map import to_metadata
from twisted_registry.protocol.json_calls import METHODS
from twisted_registry.protocol.messages import v1
from twisted_registry.web.hosts import HostNames
from twisted_registry.web.json_api import json_api
from twisted_registry.web.site import make_site

JSON = {"Content-Type": ["application/json"]}


@implementer(IBodyProducer)
class Body:
    """
    The body of a request.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: Any) -> "Deferred[None]":
        """See ``IBodyProducer``."""
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """See ``IBodyProducer``."""

    def resumeProducing(self) -> None:
        """See ``IBodyProducer``."""

    def stopProducing(self) -> None:
        """See ``IBodyProducer``."""


@implementer(IReplyStream)
@define(eq=False)
class FakeStream:
    """
    A stream that a test feeds.
    """

    receive: Callable[[bytes], None]
    finished: "Deferred[Any]" = field(factory=Deferred)
    paused: int = 0

    def pause(self) -> None:
        """See ``IReplyStream.pause``."""
        self.paused += 1

    def resume(self) -> None:
        """See ``IReplyStream.resume``."""


@implementer(ICalls)
class FakeCalls:
    """
    Calls that a test answers.

    Attributes:
        made: the calls that were made.
        replies: what they return, one after the other.
        streams: the streams that began.
    """

    def __init__(self) -> None:
        self.made: list[LocalCall] = []
        self.replies: list[Any] = []
        self.streams: list[FakeStream] = []
        self.waiting: list[Deferred[FakeStream]] = []

    def call(self, call: LocalCall) -> "Deferred[bytes]":
        """See ``ICalls.call``."""
        self.made.append(call)
        reply = self.replies.pop(0)
        if isinstance(reply, Deferred):
            return reply
        return fail(reply) if isinstance(reply, Exception) else succeed(reply)

    def stream(self, call: LocalCall, receive: Callable[[bytes], None]) -> IReplyStream:
        """See ``ICalls.stream``."""
        self.made.append(call)
        stream = FakeStream(receive)
        self.streams.append(stream)
        net: Any = reactor
        begun, self.waiting = self.waiting, []
        for waiting in begun:
            net.callLater(0, waiting.callback, stream)  # after the answer has its stream
        return stream

    def next_stream(self) -> "Deferred[FakeStream]":
        """
        Return the next stream that begins.
        """
        waiting: Deferred[FakeStream] = Deferred()
        self.waiting.append(waiting)
        return waiting


class Leaving(Protocol):
    """
    The reader of a body, which leaves before its end.

    Attributes:
        left: fires when the connection is gone.
    """

    def __init__(self) -> None:
        self.left: Deferred[Any] = Deferred()

    def connectionLost(self, reason: Any = None) -> None:
        """See ``IProtocol``."""
        self.left.callback(None)


class JsonApiCase(TestCase):
    """
    A site with the calls in JSON.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        self.calls = FakeCalls()
        self.clock = Clock()
        net: Any = reactor
        self.deferred: list[Callable[[], str]] = []
        site = make_site({"api": json_api(lambda: self.calls, self.clock, self.defer, streams_max=1)}, net, HostNames())
        self.port = net.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        self.pool = HTTPConnectionPool(net, persistent=False)
        self.addCleanup(self.pool.closeCachedConnections)
        self.agent = Agent(net, pool=self.pool)

    def defer(self, convert: Callable[[], str]) -> "Deferred[str]":
        """
        Note what is to run in another thread, and run it.
        """
        self.deferred.append(convert)
        return succeed(convert())

    async def ask(self, verb: str, path: str, body: Any = None, headers: Any = None) -> tuple[Any, Any]:
        """
        Send a request, and return the response with its body.
        """
        response = await self.begin(verb, path, body, headers)
        content = await readBody(response)
        is_json = response.headers.getRawHeaders("content-type") == ["application/json"]
        return response, json.loads(content) if is_json else content

    async def begin(self, verb: str, path: str, body: Any = None, headers: Any = None) -> Any:
        """
        Send a request, and return the response once its headers are here.
        """
        content = None if body is None else Body(body if isinstance(body, bytes) else json.dumps(body).encode())
        url = f"http://127.0.0.1:{self.port.getHost().port}/api/v1/{path}"
        sent = Headers(JSON if headers is None else headers)
        return await self.agent.request(verb.encode(), url.encode(), sent, content)


class CallTests(JsonApiCase):
    """
    Calls with one reply.
    """

    async def test_post(self) -> None:
        """
        The body becomes the request, and the reply the body; credentials and the request id are handed on.
        """
        self.calls.replies = [v1.Model(model_id="walker", latest_number=3).SerializeToString()]
        headers = {**JSON, "Authorization": ["Bearer secret"], "X-Request-Id": ["r-1"], "X-Other": ["x"]}
        response, body = await self.ask("POST", "GetModel", {"modelId": "walker"}, headers)
        self.assertEqual((response.code, body), (200, {"modelId": "walker", "latestNumber": 3}))
        (call,) = self.calls.made
        self.assertEqual(call.path, "/twisted_registry.v1.Registry/GetModel")
        self.assertEqual(call.request, v1.GetModelRequest(model_id="walker").SerializeToString())
        self.assertEqual(call.metadata, [("authorization", "Bearer secret"), ("x-request-id", "r-1")])
        self.assertEqual(response.headers.getRawHeaders("X-Request-Id"), ["r-1"])
        self.assertRegex(call.peer, r"^ipv4:127\.0\.0\.1:[0-9]+$")

    async def test_request_without_an_id(self) -> None:
        """
        A request without an id, or with one that does not belong in a log, gets a new one: the same in the call and in
        the reply.
        """
        ids = set()
        for headers in ({}, {"X-Request-Id": ["x" * 65]}, {"X-Request-Id": ["\xe4"]}):
            self.calls.replies = [v1.Model().SerializeToString()]
            response, _ = await self.ask("POST", "GetModel", {}, {**JSON, **headers})
            ((_, sent),) = self.calls.made.pop().metadata
            self.assertRegex(str(sent), "^[0-9a-f]{16}$")
            self.assertEqual(response.headers.getRawHeaders("X-Request-Id"), [sent])
            ids.add(sent)
        self.assertEqual(len(ids), 3)

    async def test_get(self) -> None:
        """
        Calls that change nothing take their fields from the query, by either name.
        """
        self.calls.replies = [b""]
        response, body = await self.ask("GET", "ListVersions?modelId=a%2Fb&page_size=10")
        self.assertEqual((response.code, body), (200, {}))
        self.assertEqual(
            self.calls.made[0].request, v1.ListVersionsRequest(model_id="a/b", page_size=10).SerializeToString()
        )

    async def test_changes_need_post(self) -> None:
        """
        A link or an image of another site changes nothing, nor does a form.
        """
        for name, method in METHODS.items():
            if not method.is_reading:
                response, _ = await self.ask("GET", name)
                self.assertEqual(response.code, 405, name)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/octet-stream"):
            response, body = await self.ask("POST", "DeleteModel", {"modelId": "m"}, {"Content-Type": [kind]})
            self.assertEqual((response.code, body["code"]), (400, "invalid_argument"))
        self.assertEqual(self.calls.made, [])

    async def test_other_sites(self) -> None:
        """
        A page of another site gets no permission to ask.
        """
        headers = {"Origin": ["https://example.com"], "Access-Control-Request-Method": ["POST"]}
        response, _ = await self.ask("OPTIONS", "GetModel", headers=headers)
        self.assertIn(response.code, (405, 501))
        self.assertIsNone(response.headers.getRawHeaders("access-control-allow-origin"))

    async def test_invalid(self) -> None:
        """
        A request that cannot be read is refused with what is wrong, and no call is made.
        """
        for body, text in (
            (b"[", "GetModelRequest in JSON"),
            ({"model": "m"}, "no field named"),
            ({"modelId": 3}, "modelId|model_id"),
            (b"\xff", "UTF-8|utf-8"),
            (b'{"a":' + b"[" * 4000, "GetModelRequest"),
        ):
            response, answer = await self.ask("POST", "GetModel", body)
            self.assertEqual((response.code, answer["code"]), (400, "invalid_argument"))
            self.assertRegex(answer["message"], text)
        for query in ("model=m", "modelId=a&modelId=b", "modelId=%ff"):
            response, answer = await self.ask("GET", f"GetModel?{query}")
            self.assertEqual((response.code, answer["code"]), (400, "invalid_argument"))
        for timeout in ("x", "-1", "1" * 11, ""):
            response, answer = await self.ask("POST", "GetModel", {}, {**JSON, "Connect-Timeout-Ms": [timeout]})
            self.assertEqual(response.code, 400)
        self.assertEqual(self.calls.made, [])

    async def test_headers_that_are_no_text(self) -> None:
        """
        Credentials that are not UTF-8 are handed on, to be refused, and a content type is.
        """
        self.calls.replies = [b""]
        headers = {b"Content-Type": [b"application/json"], b"Authorization": [b"Bearer \xff"]}
        response, _ = await self.ask("POST", "GetModel", {}, headers)
        self.assertEqual((response.code, self.calls.made[0].metadata[0]), (200, ("authorization", "Bearer \xff")))
        for name in (b"Content-Type", b"Connect-Timeout-Ms"):
            headers = {b"Content-Type": [b"application/json"], name: [b"\xff"]}
            response, _ = await self.ask("POST", "GetModel", {}, headers)
            self.assertEqual(response.code, 400)

    async def test_long(self) -> None:
        """
        A long body is not parsed before the call begins, and a long reply is put into JSON in another thread.
        """
        model = v1.Model(model_id="walker", metadata={"note": "x" * 5000})
        self.calls.replies = [model.SerializeToString(), b""]
        response, body = await self.ask("POST", "CreateModel", {"model": {"metadata": {"note": "x" * 5000}}})
        self.assertEqual((response.code, body["metadata"]["note"], len(self.deferred)), (200, "x" * 5000, 1))
        await self.ask("POST", "CreateModel", {"model": "x" * 5000})
        valid, invalid = (call.request for call in self.calls.made)
        assert callable(valid) and callable(invalid)
        model.model_id = ""
        self.assertEqual(valid(), v1.CreateModelRequest(model=model).SerializeToString())
        self.assertRaises(InvalidRequest, invalid)

    async def test_errors(self) -> None:
        """
        An error of the call has its status, its text, its details, and when to come back.
        """
        error = QuotaExceeded(quota="team-a", limit="calls_per_second = 1", reason="too much", retry_after_seconds=2.5)
        trailing = to_metadata(error, "RESOURCE_EXHAUSTED", "too much")
        for code, status in (("NOT_FOUND", 404), ("UNAUTHENTICATED", 401), ("RESOURCE_EXHAUSTED", 429)):
            self.calls.replies = [CallFailed(code, "too much", trailing)]
            response, answer = await self.ask("POST", "GetModel", {})
            self.assertEqual((response.code, answer["code"], answer["message"]), (status, code.lower(), "too much"))
            self.assertEqual(answer["details"][0]["type"], "google.rpc.ErrorInfo")
            self.assertEqual(answer["details"][0]["debug"]["reason"], "QUOTA_EXCEEDED")
            self.assertEqual(response.headers.getRawHeaders("retry-after"), ["3"])
            challenge = response.headers.getRawHeaders("www-authenticate")
            self.assertEqual(challenge, ["Bearer"] if status == 401 else None)

    async def test_bug(self) -> None:
        """
        An unexpected error is logged, and only its id is sent.
        """
        self.calls.replies = [RuntimeError("a secret")]
        response, answer = await self.ask("POST", "GetModel", {})
        self.assertEqual((response.code, answer["code"]), (500, "internal"))
        self.assertNotIn("secret", answer["message"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_unknown(self) -> None:
        """
        There are only the calls of the API; those that carry data are not among them.
        """
        for name in ("Other", "CreateVersion", "ReadVersion"):
            response, _ = await self.ask("POST", name, {})
            self.assertEqual(response.code, 404)

    async def test_timeout(self) -> None:
        """
        The client's timeout is the call's.
        """
        self.calls.replies = [b""]
        await self.ask("POST", "GetModel", {}, {**JSON, "Connect-Timeout-Ms": ["1500"]})
        self.assertEqual(self.calls.made[0].timeout_seconds, 1.5)


class StreamTests(JsonApiCase):
    """
    Calls with any number of replies.
    """

    async def test_events(self) -> None:
        """
        Events arrive as they happen, each with its cursor; a browser goes on after the last one it has.
        """
        begun = self.calls.next_stream()
        answering = self.begin("GET", "events?modelId=m", headers={"Last-Event-Id": ["c-6"]})
        response = Deferred.fromCoroutine(answering)
        stream = await begun
        stream.receive(v1.Event(cursor="c-7", model_id="m").SerializeToString())
        answer = await response
        self.assertEqual(answer.headers.getRawHeaders("content-type"), ["text/event-stream"])
        self.assertEqual(
            self.calls.made[0].request, v1.WatchEventsRequest(model_id="m", cursor="c-6").SerializeToString()
        )
        body = readBody(answer)
        self.clock.advance(15)
        stream.receive(v1.Event(cursor="c-8").SerializeToString())
        stream.finished.errback(CallFailed("UNAVAILABLE", "stopping"))
        first, heartbeat, second, failed, _ = (await body).split(b"\n\n")
        self.assertEqual(first, b'id: c-7\ndata: {"cursor": "c-7", "modelId": "m"}')
        self.assertEqual(heartbeat, b":")
        self.assertEqual(second, b'id: c-8\ndata: {"cursor": "c-8"}')
        self.assertEqual(failed, b'event: failed\ndata: {"code": "unavailable", "message": "stopping"}')
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_refused(self) -> None:
        """
        A stream that is refused has the status of its error.
        """
        begun = self.calls.next_stream()
        answering = Deferred.fromCoroutine(self.ask("GET", "events"))
        (await begun).finished.errback(CallFailed("PERMISSION_DENIED", "no"))
        response, answer = await answering
        self.assertEqual((response.code, answer["code"]), (403, "permission_denied"))

    def test_client_that_reads_nothing(self) -> None:
        """
        A connection is closed on which nothing was read for two minutes.
        """
        site = make_site({"api": json_api(lambda: self.calls, self.clock, self.defer)}, self.clock, HostNames())
        protocol, transport = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1)), StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.calls.streams[0].receive(v1.Event(cursor="c-7").SerializeToString())
        channel: Any = transport.producer
        for _ in range(2):
            channel.pauseProducing()
            self.clock.pump([15] * 7)
            self.assertFalse(transport.disconnected)
            channel.resumeProducing()
        self.clock.pump([15] * 20)
        self.assertFalse(transport.disconnected)
        for _ in range(8):
            channel.pauseProducing()  # as after each heartbeat
            self.clock.advance(15)
        self.assertTrue(transport.disconnected)

    async def test_too_many(self) -> None:
        """
        Streams over the limit are refused, until others end.
        """
        for _ in range(2):
            begun = self.calls.next_stream()
            answering = Deferred.fromCoroutine(self.ask("GET", "events"))
            stream = await begun
            response, answer = await self.ask("GET", "events")
            self.assertEqual((response.code, answer["code"]), (429, "resource_exhausted"))
            stream.finished.callback(None)
            response, _ = await answering
            self.assertEqual(response.code, 200)

    async def test_lines(self) -> None:
        """
        The replies of other calls are lines of JSON.
        """
        begun = self.calls.next_stream()
        answering = Deferred.fromCoroutine(self.ask("POST", "Prune", {}))
        stream = await begun
        stream.receive(v1.PruneResponse(version_count=1).SerializeToString())
        stream.receive(v1.PruneResponse(version_count=2).SerializeToString())
        stream.finished.callback(None)
        response, body = await answering
        self.assertEqual(response.headers.getRawHeaders("content-type"), ["application/x-ndjson"])
        self.assertEqual(body.count(b"\n"), 2)

    async def test_client_leaves(self) -> None:
        """
        The call ends when its client leaves.
        """
        ended: Deferred[Any] = Deferred()
        begun = self.calls.next_stream()
        response = Deferred.fromCoroutine(self.begin("GET", "events"))
        stream = await begun
        stream.finished.addBoth(ended.callback)
        stream.receive(v1.Event(cursor="c-7").SerializeToString())
        leaving = Leaving()
        (await response).deliverBody(leaving)
        transport = leaving.transport
        assert transport is not None, "the answer has begun"
        transport.loseConnection()
        await ended
        await leaving.left
