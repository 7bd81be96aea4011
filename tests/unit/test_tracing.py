"""
Tests for the traces of the server: ``twisted_registry.observability.tracing`` and the interceptors.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.support.calls import METHOD, Aborted, FakeContext, call_on
from tests.support.spans import REMOTE, UNSAMPLED, Traces, attributes_of, context_ids, ids, linked_ids, parent_ids
from twisted_registry.config.limits import ClientLimits
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.contracts.tracing import CURRENT_SPAN, ISpan, ITracer, as_part_of, note_part, part
from twisted_registry.domain.access import ANONYMOUS, Caller, Identity, Permissions
from twisted_registry.domain.errors import InvalidRequest, StorageFailure, UnknownModel
from twisted_registry.domain.models import VersionInfo
from twisted_registry.observability.tracing import Creations, Tracer
from twisted_registry.protocol.trace_context import CREATION_KEY
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import ArchiveIdentityCheck, Interceptor, end_failed_calls, interceptors
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout
from twisted_registry.rpc.interceptors.tracing import CallTracing
from twisted_registry.rpc.methods import Handler, Method

INFO = VersionInfo("walker", 7, 1_000, archived=True, sha256="", size_bytes=3, metadata={})
ADA = Caller(Identity("token", "ada"), Permissions(()))
NOBODY = Caller(ANONYMOUS, Permissions(()))


class TracedCallTestCase(SynchronousTestCase):
    """
    A call through the interceptors.
    """

    def setUp(self) -> None:
        """
        Make a tracer.
        """
        self.use(Traces())
        self.context = FakeContext()

    def use(self, traces: Traces) -> None:
        """
        Trace with a provider.
        """
        self.traces = traces
        self.tracer = Tracer(traces.provider)

    def make(
        self,
        handler: Handler,
        *metadata: tuple[str, str],
        caller: Caller | None = None,
        names_callers: bool = False,
        method: Method = METHOD,
        request: Any = None,
        refused: Exception | None = None,
    ) -> CallContext:
        """
        Make a call.

        Args:
            metadata: what the client sends.
            caller: who makes it; ``None`` without access control.
            refused: why the call is refused before its span begins.
        """
        tracing = CallTracing(self.tracer, caller is not None, names_callers, now_ns=lambda: 5)
        self.context.metadata = metadata
        call = call_on(self.context, method)

        def authenticate(method: Method, handler: Handler) -> Handler:
            async def handle(request: Any, call: CallContext) -> Any:
                if refused is not None:
                    raise refused
                call.caller = caller
                return await handler(request, call)

            return handle

        wrapped = handler
        for intercept in (tracing.begin, authenticate, end_failed_calls, tracing.intercept):
            wrapped = intercept(method, wrapped)

        async def run() -> None:
            await wrapped(request, call)

        with contextlib.suppress(Aborted, asyncio.CancelledError):
            asyncio.run(run())
        return call


async def succeed(request: Any, call: CallContext) -> None:
    """
    Serve a call.
    """


class CallSpanTests(TracedCallTestCase):
    """
    The span of a call.
    """

    def test_interfaces(self) -> None:
        """
        Tracer and spans implement their interfaces.
        """
        call = self.make(succeed)
        verifyObject(ITracer, self.tracer)
        verifyObject(ISpan, call.span)

    def test_span(self) -> None:
        """
        It has the names and attributes of the conventions for RPC, begins with the call, and says what the call is
        about.
        """

        async def serve(request: Any, call: CallContext) -> None:
            call.note(model_id="walker", version_number=3, sha256="not shown")

        self.make(serve, ("x-request-id", "r-1"))
        span = self.traces.only()
        self.assertEqual((span.name, span.kind, span.start_time), ("tests.Tests/Test", SpanKind.SERVER, 5))
        self.assertEqual(
            attributes_of(span),
            {
                "rpc.system": "grpc",
                "rpc.service": "tests.Tests",
                "rpc.method": "Test",
                "rpc.grpc.status_code": 0,
                "network.peer.address": "10.0.0.1",
                "twisted_registry.request.id": "r-1",
                "twisted_registry.model.id": "walker",
                "twisted_registry.version.number": 3,
            },
        )
        self.assertIs(span.status.status_code, StatusCode.UNSET)
        self.assertIsNone(span.parent)

    def test_model_of_a_request(self) -> None:
        """
        The model is known from the request, unless that is not valid.
        """

        def resource(request: str) -> str:
            if not request:
                raise InvalidRequest("no model")
            return request

        method = evolve(METHOD, resource=resource)
        self.make(succeed, method=method, request="walker")
        self.make(succeed, method=method, request="")
        first, second = self.traces.ended()
        self.assertEqual(attributes_of(first)["twisted_registry.model.id"], "walker")
        self.assertNotIn("twisted_registry.model.id", attributes_of(second))

    def test_long_names(self) -> None:
        """
        Of a name that is too long to be valid, only the beginning is kept.
        """

        async def serve(request: Any, call: CallContext) -> None:
            call.note(alias=1_000_000 * "a")
            raise InvalidRequest("too long")

        self.make(serve, method=evolve(METHOD, resource=lambda request: 1_000_000 * "m"))
        span = self.traces.only()
        self.assertEqual(attributes_of(span)["twisted_registry.model.id"], 256 * "m")
        self.assertEqual(attributes_of(span)["twisted_registry.alias"], 256 * "a")

    def test_failures(self) -> None:
        """
        The span has the code.  It is an error only if the server is at fault, and never holds the text.
        """

        async def fail(request: Any, call: CallContext) -> None:
            raise request

        for error, number, status in (
            (UnknownModel("secret"), 5, StatusCode.UNSET),
            (StorageFailure("secret"), 14, StatusCode.ERROR),
        ):
            self.use(Traces())
            self.make(fail, request=error)
            span = self.traces.only()
            self.assertEqual(attributes_of(span)["rpc.grpc.status_code"], number)
            self.assertEqual(attributes_of(span)["error.type"], self.context.aborts[-1][0].name)
            self.assertIs(span.status.status_code, status)
            self.assertNotIn("secret", span.to_json())

    def test_cancelled_call(self) -> None:
        """
        A call that its client gave up ends as cancelled.
        """

        async def leave(request: Any, call: CallContext) -> None:
            raise asyncio.CancelledError

        self.make(leave)
        self.assertEqual(attributes_of(self.traces.only())["rpc.grpc.status_code"], 1)

    def test_answer(self) -> None:
        """
        The client gets the context of the span, also with an error.
        """

        async def fail(request: Any, call: CallContext) -> None:
            raise UnknownModel("walker")

        for handler in (succeed, fail):
            self.use(Traces())
            self.make(handler, ("traceparent", REMOTE))
            sent = dict(self.context.trailing)["traceparent"]
            self.assertEqual(ids(sent), context_ids(self.traces.only()))

    def test_parts(self) -> None:
        """
        Parts of a call are spans below its own, also in other threads, and only inside the call.
        """

        async def serve(request: Any, call: CallContext) -> None:
            with part("outer"):
                note_part("sync", 0.25)
                as_part_of(CURRENT_SPAN.get(), "job", lambda: note_part("inner sync", 0.5))()

        self.make(serve)
        spans = {span.name: span for span in self.traces.ended()}
        parents = {span.name: parent_ids(span) for span in spans.values()}
        of = {name: context_ids(span) for name, span in spans.items()}
        self.assertEqual(
            parents,
            {
                "tests.Tests/Test": None,
                "outer": of["tests.Tests/Test"],
                "sync": of["outer"],
                "job": of["outer"],
                "inner sync": of["job"],
            },
        )
        sync = spans["sync"]
        self.assertEqual((sync.end_time or 0) - (sync.start_time or 0), 250_000_000)
        self.assertIsNone(CURRENT_SPAN.get())

    def test_abandoned_part(self) -> None:
        """
        A part that is never resumed, as when the daemon stops, ends without a further error.
        """

        async def serve(request: Any, call: CallContext) -> None:
            async def commit() -> None:
                with part("commit"):
                    await asyncio.sleep(3600)

            abandoned = commit()
            contextvars.copy_context().run(abandoned.send, None)
            abandoned.close()

        self.make(serve)
        self.assertEqual([span.name for span in self.traces.ended()], ["commit", "tests.Tests/Test"])

    def test_failed_part(self) -> None:
        """
        A part that fails says with which class of error.
        """

        async def serve(request: Any, call: CallContext) -> None:
            with part("commit"):
                raise UnknownModel("secret")

        self.make(serve)
        commit = self.traces.ended()[0]
        self.assertEqual(attributes_of(commit), {"error.type": "UnknownModel"})
        self.assertIs(commit.status.status_code, StatusCode.ERROR)


class TrustTests(TracedCallTestCase):
    """
    Whose trace a call belongs to.
    """

    def assert_continued(self, span: Any) -> None:
        """
        Check that a span is a part of the caller's trace.
        """
        self.assertEqual(parent_ids(span), ids(REMOTE))
        self.assertEqual(linked_ids(span), [])

    def assert_linked(self, span: Any) -> None:
        """
        Check that a span begins a trace, with a link to the caller's.
        """
        self.assertIsNone(span.parent)
        self.assertNotEqual(context_ids(span)[0], ids(REMOTE)[0])
        self.assertEqual(linked_ids(span), [ids(REMOTE)])

    def test_without_access_control(self) -> None:
        """
        All callers are trusted alike.
        """
        self.make(succeed, ("traceparent", REMOTE), ("tracestate", "vendor=1"))
        span = self.traces.only()
        self.assert_continued(span)
        context = span.get_span_context()
        assert context is not None
        self.assertEqual(context.trace_state.to_header(), "vendor=1")

    def test_signed_in_caller(self) -> None:
        """
        The trace of a caller who has signed in goes on.
        """
        self.make(succeed, ("traceparent", REMOTE), caller=ADA)
        self.assert_continued(self.traces.only())

    def test_stranger(self) -> None:
        """
        A caller without credentials cannot decide what is recorded: neither with its flag nor without.
        """
        self.make(succeed, ("traceparent", REMOTE), caller=NOBODY)
        self.assert_linked(self.traces.only())
        self.use(Traces(ParentBased(ALWAYS_OFF)))
        for _ in range(9):
            self.make(succeed, ("traceparent", REMOTE), caller=NOBODY)
        self.assertEqual(self.traces.ended(), ())

    def test_refused_call(self) -> None:
        """
        A call that is refused before its caller is known has a span, too, as a stranger's.
        """
        self.make(succeed, ("traceparent", REMOTE), caller=ADA, refused=UnknownModel("walker"))
        span = self.traces.only()
        self.assert_linked(span)
        self.assertEqual(attributes_of(span)["rpc.grpc.status_code"], 5)

    def test_unsampled_parent(self) -> None:
        """
        A call that its trusted caller does not record is not recorded here, and those that go on with it neither.
        """
        call = self.make(succeed, ("traceparent", UNSAMPLED))
        self.assertEqual(self.traces.ended(), ())
        self.assertNotIn("traceparent", dict(self.context.trailing))
        assert call.span is not None
        self.assertEqual(ids(call.span.traceparent)[0], ids(UNSAMPLED)[0])
        self.assertTrue(call.span.traceparent.endswith("-00"))

    def test_bad_contexts(self) -> None:
        """
        A context that is not valid is ignored.
        """
        self.make(succeed, ("traceparent", "00-zz-1-01"), ("tracestate", 10_000 * "x"), ("baggage", 9_000 * "y"))
        span = self.traces.only()
        self.assertIsNone(span.parent)
        self.assertEqual(linked_ids(span), [])

    def test_names_of_callers(self) -> None:
        """
        The caller is named only if that is asked for.
        """
        self.make(succeed, caller=ADA)
        self.make(succeed, caller=ADA, names_callers=True)
        without, with_name = map(attributes_of, self.traces.ended())
        self.assertNotIn("user.id", without)
        self.assertEqual(with_name["user.id"], "token:ada")


class CreationTests(TracedCallTestCase):
    """
    The creation of a version, as traces know it.
    """

    def create(self) -> str:
        """
        Create a version in a call, and return the context of the call.
        """

        async def create(request: Any, call: CallContext) -> None:
            assert call.span is not None
            call.span.created(INFO)

        call = self.make(create, ("traceparent", REMOTE))
        assert call.span is not None
        return call.span.traceparent

    def test_used_version(self) -> None:
        """
        A call that sends the version is linked with its creation, and tells the client of it.
        """
        creation = self.create()

        async def send(request: Any, call: CallContext) -> None:
            call.note_used(INFO)

        self.make(send)
        self.assertEqual(linked_ids(self.traces.ended()[-1]), [ids(creation)])
        self.assertEqual(dict(self.context.trailing)[CREATION_KEY], creation)

    def test_other_versions(self) -> None:
        """
        Of a version that was created before, or of a model that was created again, nothing is known.
        """
        self.create()

        async def send(request: Any, call: CallContext) -> None:
            call.note_used(evolve(INFO, created_ns=2_000))

        self.make(send)
        self.assertEqual(linked_ids(self.traces.ended()[-1]), [])
        self.assertNotIn(CREATION_KEY, dict(self.context.trailing))

    def test_use_in_the_same_trace(self) -> None:
        """
        A call in the trace of the creation needs no link.
        """
        creation = self.create()

        async def send(request: Any, call: CallContext) -> None:
            call.note_used(INFO)

        self.make(send, ("traceparent", creation))
        self.assertEqual(linked_ids(self.traces.ended()[-1]), [])

    def test_push(self) -> None:
        """
        A push is a part of the trace of the creation, and says how many subscribers there are.
        """
        creation = self.create()
        span = self.tracer.begin_push(INFO, 3)
        assert span is not None
        span.note(sent=2)
        span.end()
        push = self.traces.ended()[-1]
        self.assertEqual((push.name, push.kind, parent_ids(push)), ("push version", SpanKind.PRODUCER, ids(creation)))
        self.assertEqual(attributes_of(push)["twisted_registry.subscribers"], 3)
        self.assertEqual(attributes_of(push)["twisted_registry.sent"], 2)

    def test_push_without_a_trace(self) -> None:
        """
        The push of a version whose creation was not recorded is not recorded.
        """
        self.assertIsNone(self.tracer.begin_push(INFO, 3))
        self.use(Traces(ALWAYS_OFF))
        self.create()
        self.assertIsNone(self.tracer.begin_push(INFO, 3))

    def test_bound(self) -> None:
        """
        The creations of the last versions are remembered.
        """
        creations = Creations(2)
        infos: Sequence[VersionInfo] = [evolve(INFO, version_number=number) for number in (1, 2, 3)]
        for info in infos:
            creations.add(info, f"of {info.version_number}")
        self.assertEqual([creations.find(info) for info in infos], ["", "of 2", "of 3"])


class ChainTests(SynchronousTestCase):
    """
    The place of the traces in the chain.
    """

    def chain(self, tracing: CallTracing | None) -> Sequence[Interceptor]:
        """
        Return the chain.
        """
        tracker, identity = CallTracker(ClientLimits()), ArchiveIdentityCheck(ArchiveStatus())
        return interceptors(tracker, identity, IdleTimeout(60.0), access_log=None, tracing=tracing)

    def test_without_traces(self) -> None:
        """
        Without traces, the chain is shorter, and calls have no span.
        """
        tracing = CallTracing(Tracer(Traces().provider), has_access_control=False)
        names = [each.__qualname__ for each in self.chain(tracing)]
        without = [each.__qualname__ for each in self.chain(None)]
        self.assertEqual(names[0], "CallTracing.intercept")
        self.assertEqual([name for name in names if not name.startswith("CallTracing.")], without)
        self.assertEqual(len(names), len(without) + 2)
        self.assertEqual(call_on(FakeContext()).trace_metadata, ())
