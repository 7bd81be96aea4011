"""
Tests for ``twisted_registry.rpc.interceptors.access_log`` and ``twisted_registry.observability.access_log``.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from random import Random
from typing import Any

import grpc
from attrs import asdict, define, evolve, field
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.support.calls import METHOD, Aborted, FakeContext, call_on
from twisted_registry.config.limits import ClientLimits
from twisted_registry.contracts.access_log import CallRecord, IAccessLog
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.access import Caller, Identity, Permissions
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.observability.access_log import AccessLog
from twisted_registry.observability.log_lines import Form, json_line, text_line
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import ArchiveIdentityCheck, end_failed_calls, interceptors
from twisted_registry.rpc.interceptors.access_log import AccessLogging
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout
from twisted_registry.rpc.methods import Handler, Method

_STREAM = evolve(METHOD, streams_replies=True)


@implementer(IAccessLog)
@define
class RecordedLog:
    """
    An access log that keeps what it gets.

    Attributes:
        chosen: whether calls are chosen.
    """

    chosen: bool
    slow_seconds: float = 1.0
    records: list[CallRecord] = field(factory=list)
    missing: list[int] = field(factory=list)

    def chooses(self) -> bool:
        """See ``IAccessLog.chooses``."""
        return self.chosen

    def write(self, record: CallRecord) -> None:
        """See ``IAccessLog.write``."""
        self.records.append(record)

    def report_missing(self, count: int) -> None:
        """See ``IAccessLog.report_missing``."""
        self.missing.append(count)


class InterceptorTests(SynchronousTestCase):
    """
    Calls are reported when they end.
    """

    def setUp(self) -> None:
        """
        Make an access log that chooses all calls.
        """
        self.log = RecordedLog(chosen=True)
        self.now_seconds = 100.0
        self.later: list[Callable[[], None]] = []
        self.logging = AccessLogging(
            self.log, lambda: self.now_seconds, lambda seconds, function: self.later.append(function)
        )

    def make(self, handler: Handler, method: Method = METHOD, context: FakeContext | None = None) -> CallContext:
        """
        Make a call, and return its context.
        """
        call = call_on(FakeContext() if context is None else context, method)

        async def run() -> None:
            handled = self.logging.keep_requests(method, handler)
            handled = IdleTimeout(60.0).intercept(method, handled)
            await self.logging.intercept(method, end_failed_calls(method, handled))(None, call)

        with contextlib.suppress(Aborted, asyncio.CancelledError):
            asyncio.run(run())
        return call

    def record(self, handler: Handler, method: Method = METHOD, context: FakeContext | None = None) -> CallRecord:
        """
        Make a call, and return its only record.
        """
        self.make(handler, method, context)
        (record,) = self.log.records
        return record

    async def answer(self, request: Any, call: CallContext) -> bytes:
        """
        Serve a call in a quarter of a second.
        """
        self.now_seconds += 0.25
        return b"reply"

    async def refuse(self, request: Any, call: CallContext) -> None:
        """
        Refuse a call.
        """
        raise UnknownModel("m")

    async def leave(self, request: Any, call: CallContext) -> None:
        """
        End as a call whose client leaves.
        """
        raise asyncio.CancelledError

    def test_served(self) -> None:
        """
        The record has all that is known of the call, and the client gets its id.
        """
        context = FakeContext(metadata=[("x-request-id", "r-1")], messages=[b"request"])
        method = evolve(METHOD, resource=lambda raw: "m", reference=lambda raw: "m@production")
        expected = {
            "method": "/tests.Tests/Test",
            "peer": "ipv4:10.0.0.1:5000",
            "request_id": "r-1",
            "identity": "",
            "token_id": "",
            "model_id": "m",
            "reference": "m@production",
            "version_number": 0,
            "is_sampled": True,
            "code": "OK",
            "reason": "",
            "seconds": 0.25,
            "received_bytes": len(b"request"),
            "sent_bytes": len(b"reply"),
            "sent_messages": None,
        }
        self.assertEqual(asdict(self.record(self.answer, method, context)), expected)
        self.assertEqual(context.trailing, (("x-request-id", "r-1"),))

    def test_identity(self) -> None:
        """
        The record names the kind and the name of the caller, and the public part of its token.
        """

        async def identified(request: Any, call: CallContext) -> None:
            call.caller = Caller(Identity("token", "trainer", "4f3a"), Permissions(()))

        record = self.record(identified, METHOD, FakeContext(messages=[b""]))
        self.assertEqual((record.identity, record.token_id), ("token:trainer", "4f3a"))

    def test_facts(self) -> None:
        """
        The record of a change has the version.
        """

        async def change(request: Any, call: CallContext) -> None:
            call.note(model_id="m", version_number=7)

        record = self.record(change, METHOD, FakeContext(messages=[b""]))
        self.assertEqual((record.model_id, record.version_number), ("m", 7))

    def test_failed(self) -> None:
        """
        The record of a call that fails has its code and reason.
        """
        record = self.record(self.refuse, METHOD, FakeContext(messages=[b"x"]))
        self.assertEqual((record.code, record.reason, record.received_bytes), ("NOT_FOUND", "UNKNOWN_MODEL", 1))

    def test_aborted(self) -> None:
        """
        The record of a call that its handler aborts has the code.
        """

        async def abort(request: Any, call: CallContext) -> None:
            await call.abort(grpc.StatusCode.NOT_FOUND, "no")

        record = self.record(abort, METHOD, FakeContext(messages=[b""]))
        self.assertEqual((record.code, record.reason), ("NOT_FOUND", ""))

    def test_cancelled(self) -> None:
        """
        The record of a call that its client cancelled says so.
        """
        self.assertEqual(self.record(self.leave, METHOD, FakeContext(messages=[b""])).code, "CANCELLED")

    def test_stream(self) -> None:
        """
        The messages that a call sends are counted.
        """

        async def send(request: Any, call: CallContext) -> None:
            for message in (b"12", b"345"):
                await call.write(message)

        context = FakeContext(messages=[b""])
        record = self.record(send, _STREAM, context)
        self.assertEqual((record.sent_bytes, record.sent_messages), (5, 2))
        self.assertEqual(context.written, [b"12", b"345"])

    def test_lasting_stream(self) -> None:
        """
        A call that goes on until its client leaves is also reported when it begins.
        """
        self.make(self.leave, evolve(_STREAM, lasts=True), FakeContext(messages=[b""]))
        self.assertEqual([record.code for record in self.log.records], ["", "CANCELLED"])

    def test_not_chosen(self) -> None:
        """
        Calls that are not chosen are not reported if they succeed, or if their client leaves.
        """
        self.log.chosen = False
        context = FakeContext(messages=[b""])
        self.make(self.answer, METHOD, context)
        self.make(self.leave, METHOD, FakeContext(messages=[b""]))
        self.assertEqual((self.log.records, context.trailing), ([], ()))

    def test_failed_or_slow(self) -> None:
        """
        Calls that fail or are slow are reported, also if they are not chosen.  Streams are never slow.
        """

        async def wait(request: Any, call: CallContext) -> None:
            self.now_seconds += 1.0

        self.log.chosen = False
        self.make(self.refuse, METHOD, FakeContext(messages=[b""]))
        self.make(wait, METHOD, FakeContext(messages=[b""]))
        self.make(wait, _STREAM, FakeContext(messages=[b""]))
        self.assertEqual([(each.code, each.seconds) for each in self.log.records], [("NOT_FOUND", 0), ("OK", 1)])

    def test_flood_of_failures(self) -> None:
        """
        Of 10,000 calls that fail within a second, 100 are reported, and the number of the others.
        """
        self.log.chosen = False
        handler = self.logging.intercept(METHOD, end_failed_calls(METHOD, self.refuse))

        async def run() -> None:
            for _ in range(10_000):
                with contextlib.suppress(Aborted):
                    await handler(None, call_on(FakeContext()))

        asyncio.run(run())
        self.assertEqual(len(self.log.records), 100)
        (flush,) = self.later
        flush()
        flush()
        self.assertEqual(self.log.missing, [9_900])

    def test_later_failures(self) -> None:
        """
        Failures of the next second are reported again.
        """
        self.test_flood_of_failures()
        self.now_seconds += 1.0
        self.make(self.refuse, METHOD, FakeContext(messages=[b""]))
        self.assertEqual(len(self.log.records), 101)

    def test_not_in_the_chain(self) -> None:
        """
        Without an access log the chain is shorter, so calls pay nothing for it.
        """
        tracker = CallTracker(ClientLimits(1, 1, 1, 1))
        identity, timeout = ArchiveIdentityCheck(ArchiveStatus()), IdleTimeout(1.0)
        with_log, without = (interceptors(tracker, identity, timeout, each) for each in (self.logging, None))
        self.assertEqual(with_log[0], self.logging.intercept)
        self.assertEqual(len(without), len(with_log) - 2)


RECORD = CallRecord(
    "/tests.Tests/Test", "ipv4:10.0.0.1:5000", "r-1", "", "", "", "", 0, is_sampled=True, code="OK", seconds=0.00042
)


class LineTests(SynchronousTestCase):
    """
    The lines of the access log.
    """

    def log(self, share: float = 1.0, form: Form = text_line) -> AccessLog:
        """
        Return an access log that writes to ``lines``.
        """
        self.lines: list[str] = []
        return AccessLog(
            lambda make: self.lines.append(make()),
            share=share,
            slow_seconds=1.0,
            form=form,
            random=Random(0).random,
            wall_seconds=lambda: 1_000_000_000.25,
        )

    def text(self, record: CallRecord) -> str:
        """
        Return the text of a line, without its time.
        """
        self.log().write(record)
        (line,) = self.lines
        return line.partition("] ")[2]

    def json(self, record: CallRecord, share: float = 1.0) -> dict[str, Any]:
        """
        Return a line as an object.
        """
        self.log(share, json_line).write(record)
        (line,) = self.lines
        found: dict[str, Any] = json.loads(line)
        return found

    def test_contract(self) -> None:
        """
        It provides the interface.
        """
        verifyObject(IAccessLog, self.log())

    def test_text(self) -> None:
        """
        A line of text has Twisted's form, and names what is known.
        """
        self.assertEqual(
            self.text(RECORD),
            "/tests.Tests/Test from ipv4:10.0.0.1:5000: OK after 0.4 ms, 0 bytes in, request r-1\n",
        )
        record = evolve(
            RECORD,
            identity="token:trainer",
            token_id="4f3a",
            model_id="m",
            reference="m@3",
            code="NOT_FOUND",
            reason="UNKNOWN_VERSION",
            received_bytes=5,
            sent_bytes=0,
            sent_messages=0,
        )
        self.assertEqual(
            self.text(record),
            "/tests.Tests/Test of 'm@3' by token:trainer (token 4f3a) from ipv4:10.0.0.1:5000: NOT_FOUND "
            "(UNKNOWN_VERSION) after 0.4 ms, 5 bytes in, 0 out in 0 messages, request r-1\n",
        )
        self.assertRegex(self.lines[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[twisted_registry.access#info\] ")

    def test_begun(self) -> None:
        """
        The line of a call that goes on says so.
        """
        self.assertIn("10.0.0.1:5000 has begun, request r-1\n", self.text(evolve(RECORD, code="")))
        self.assertNotIn("code", self.json(evolve(RECORD, code="")))

    def test_json(self) -> None:
        """
        A line of JSON has a field for each value.
        """
        record = evolve(
            RECORD,
            identity="jwt:ci",
            model_id="m",
            version_number=3,
            received_bytes=5,
            sent_bytes=7,
            sent_messages=2,
        )
        line = self.json(record)
        self.assertIn("after 0.4 ms", line.pop("message"))
        self.assertEqual(
            line,
            {
                "time": "2001-09-09T01:46:40.250000Z",
                "level": "info",
                "logger": "twisted_registry.access",
                "request_id": "r-1",
                "method": "/tests.Tests/Test",
                "peer": "ipv4:10.0.0.1:5000",
                "identity": "jwt:ci",
                "model": "m",
                "version": 3,
                "code": "OK",
                "duration_ms": 0.42,
                "received_bytes": 5,
                "sent_bytes": 7,
                "sent_messages": 2,
            },
        )

    def test_share(self) -> None:
        """
        The line of a call that was chosen names the share, so that readers can scale what they count.
        """
        self.assertEqual(self.json(RECORD, 0.01)["share"], 0.01)
        self.assertNotIn("share", self.json(evolve(RECORD, is_sampled=False), 0.01))

    def test_names_of_clients(self) -> None:
        """
        Whatever clients choose, a line stays one line of bounded length without control characters.
        """
        evil = "x\n2026-11-28 [-] OK\x1b[2J\u202e" * 1000
        record = evolve(RECORD, identity=f"jwt:{evil}", model_id=evil, reference=evil)
        for line in (self.text(record), json.dumps(self.json(record))):
            self.assertEqual(line.count("\n"), line.endswith("\n"))
            self.assertTrue(line.rstrip("\n").isprintable() and line.isascii(), line)
            self.assertLess(len(line), 4000)

    def test_sampling(self) -> None:
        """
        The share of the calls is chosen at random.
        """
        log = self.log(0.01)
        self.assertEqual(sum(log.chooses() for _ in range(10_000)), 110)
        self.assertTrue(all(self.log(1.0).chooses() for _ in range(100)))
        self.assertFalse(any(self.log(0.0).chooses() for _ in range(100)))

    def test_missing(self) -> None:
        """
        Calls without a line are counted.
        """
        self.log().report_missing(9_900)
        self.assertIn("9900 further failed or slow calls of the last second have no line", self.lines[0])
