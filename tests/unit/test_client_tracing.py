"""
Tests for ``twisted_registry.client._transport.tracing``.
"""

import subprocess
import sys

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import ProxyTracerProvider, SpanKind, StatusCode, TraceFlags
from twisted.trial.unittest import SynchronousTestCase

from tests.support.spans import REMOTE, Traces, attributes_of, context_ids, ids, linked_ids, parent_ids
from twisted_registry.client._transport.tracing import ClientTraces
from twisted_registry.domain.models import VersionInfo
from twisted_registry.protocol.trace_context import CREATION_KEY, trace_context_in

INFO = VersionInfo("walker", 7, 1_000, archived=True, sha256="", size_bytes=3, metadata={})

_IMPORTS = """
import sys
{code}
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def imported_by(code: str) -> str:
    """
    Return which modules of OpenTelemetry are imported by code that runs in a new process.
    """
    command = [sys.executable, "-c", _IMPORTS.format(code=code)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class ClientTracesTests(SynchronousTestCase):
    """
    The traces of a program that uses the client.
    """

    def setUp(self) -> None:
        """
        Make traces that end in memory.
        """
        self.ended = Traces()
        self.traces = ClientTraces(provider=lambda: self.ended.provider)
        self.tracer = self.ended.provider.get_tracer("tests")

    def test_span(self) -> None:
        """
        The span of a transfer is a part of the caller's, and the calls inside are parts of it.
        """
        step_span = self.tracer.start_as_current_span("step")
        with step_span, self.traces.span("publish version", "walker", "registry:9000") as span:
            metadata = self.traces.metadata
            span.note(INFO)
            span.note(None)
        publish, step = self.ended.ended()
        self.assertEqual((publish.name, publish.kind), ("publish version", SpanKind.CLIENT))
        self.assertEqual(parent_ids(publish), context_ids(step))
        self.assertEqual(ids(trace_context_in(metadata)[0]), context_ids(publish))
        self.assertEqual(
            attributes_of(publish),
            {
                "twisted_registry.model.id": "walker",
                "server.address": "registry:9000",
                "twisted_registry.version.number": 7,
                "twisted_registry.version.size": 3,
            },
        )

    def test_failure(self) -> None:
        """
        A transfer that fails is an error, of which only the class is recorded.
        """

        def fail() -> None:
            with self.traces.span("publish version", "walker", "registry:9000"):
                raise ValueError("secret")

        self.assertRaises(ValueError, fail)
        span = self.ended.only()
        self.assertIs(span.status.status_code, StatusCode.ERROR)
        self.assertEqual(attributes_of(span)["error.type"], "ValueError")
        self.assertNotIn("secret", span.to_json())

    def test_given_parent(self) -> None:
        """
        A span may be a part of another program's, recorded only if that is.
        """
        with self.traces.span("fetch version", "walker", "registry:9000", REMOTE):
            pass
        with self.traces.span("fetch version", "walker", "registry:9000", f"{REMOTE[:-1]}0"):
            metadata = self.traces.metadata
        self.assertEqual(parent_ids(self.ended.only()), ids(REMOTE))
        self.assertTrue(trace_context_in(metadata)[0].endswith("-00"))

    def test_link(self) -> None:
        """
        The current span is linked with the creation of a version that arrives, unless it is a part of the same trace.
        """
        self.traces.link_creation([(CREATION_KEY, REMOTE)])
        with self.traces.span("retrieve version", "walker", "registry:9000"):
            self.traces.link_creation([(CREATION_KEY, REMOTE)])
            self.traces.link_creation([])
        with self.traces.span("fetch version", "walker", "registry:9000", REMOTE):
            self.traces.link_creation([(CREATION_KEY, REMOTE)])
        retrieve, fetch = self.ended.ended()
        self.assertEqual(linked_ids(retrieve), [ids(REMOTE)])
        self.assertEqual(linked_ids(fetch), [])

    def test_where_traces_begin(self) -> None:
        """
        A transfer begins a trace if the program makes traces, and is not doing so already.
        """
        self.assertTrue(self.traces.begins_here)
        with self.tracer.start_as_current_span("step"):
            self.assertFalse(self.traces.begins_here)
        self.assertFalse(ClientTraces(provider=ProxyTracerProvider).begins_here)

    def test_program_without_traces(self) -> None:
        """
        In a program that has not imported OpenTelemetry, or has no SDK, there is nothing.
        """
        for traces in (ClientTraces({}), ClientTraces(provider=ProxyTracerProvider)):
            with traces.span("publish version", "walker", "registry:9000") as span:
                span.note(INFO)
                self.assertFalse(trace.get_current_span().get_span_context().is_valid)
                self.assertEqual(traces.metadata, ())
                traces.link_creation([(CREATION_KEY, REMOTE)])

    def test_module_that_is_being_imported(self) -> None:
        """
        While another thread imports OpenTelemetry, nothing is traced.
        """
        traces = ClientTraces({"opentelemetry.trace": object()}, lambda: self.ended.provider)
        with traces.span("publish version", "walker", "registry:9000"):
            self.assertEqual(traces.metadata, ())
        self.assertEqual(self.ended.ended(), ())

    def test_unsampled_span(self) -> None:
        """
        The registry learns of a span that is not recorded.
        """
        self.ended = Traces(ALWAYS_OFF)
        with self.traces.span("publish version", "walker", "registry:9000"):
            (metadatum,) = self.traces.metadata
        self.assertFalse(int(metadatum[1][-2:], 16) & TraceFlags.SAMPLED)


class ImportTests(SynchronousTestCase):
    """
    Without traces, nothing of OpenTelemetry is imported.
    """

    def test_client(self) -> None:
        """
        The client imports nothing, not even with gRPC.
        """
        faces = "import twisted_registry.client.blocking, twisted_registry.client.deferred"
        self.assertEqual(imported_by(f"{faces}, twisted_registry.client._session"), "[]")

    def test_daemon(self) -> None:
        """
        The daemon imports nothing without ``--traces``, not even with the web edge.
        """
        code = """
from twisted_registry.daemon.options import Options
from twisted_registry.daemon.service import makeService
import twisted_registry.daemon.web
options = Options()
options.parseOptions(["--archive-dir", "unused", "--http-port", "0"{more}])
makeService(options)
"""
        self.assertEqual(imported_by(code.format(more="")), "[]")
        self.assertIn("opentelemetry.sdk.trace", imported_by(code.format(more=', "--traces"')))
