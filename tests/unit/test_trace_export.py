"""
Tests for the export of traces: ``twisted_registry.observability.trace_export`` and ``twisted_registry.daemon.tracing``.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from queue import Queue
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.logs import LoggedLines
from twisted_registry import __version__
from twisted_registry.contracts.tracing import TracedCall
from twisted_registry.daemon.tracing import DaemonTracing
from twisted_registry.domain.errors import CannotStart
from twisted_registry.observability.trace_export import ExportLog, TraceExport, check_variables, is_disabled
from twisted_registry.observability.tracing import Tracer
from twisted_registry.testing.memory_archive import MemoryArchive

CALL = TracedCall("tests.Tests", "Test", "ipv4:10.0.0.1:5000", 1)


class Reactor(Clock):
    """
    A clock, and the calls from other threads, which the test makes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: Queue[Callable[[], Any]] = Queue()

    def callFromThread(self, function: Any, *args: Any) -> None:
        """
        Queue a call.
        """
        self.from_threads.put(lambda: function(*args))


class HangingExporter(SpanExporter):
    """
    An exporter whose collector does not answer until the test ends.
    """

    def __init__(self) -> None:
        self.has_ended = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """
        Wait.
        """
        self.has_ended.wait()
        return SpanExportResult.FAILURE


class ExportLogTests(SynchronousTestCase):
    """
    The log of OpenTelemetry in that of the registry.
    """

    def setUp(self) -> None:
        """
        Take the records of the library.
        """
        self.now_seconds = 0.0
        self.lines = LoggedLines(self)
        self.problems = ExportLog(lambda: self.now_seconds)
        self.problems.install()
        self.addCleanup(self.problems.uninstall)
        self.logger = logging.getLogger("opentelemetry.tests")

    def logged(self) -> list[str]:
        """
        Return the lines.
        """
        return self.lines.of("twisted_registry.observability")

    def test_one_line_a_minute(self) -> None:
        """
        A failure is logged at once, on one line, and repetitions once a minute, with their number.
        """
        self.logger.error("the collector\nis %s", "away")
        for second in range(1, 60):
            self.now_seconds = second
            self.logger.error("again")
        self.assertEqual(self.logged(), ["traces may be missing: the collector is away"])
        self.now_seconds = 60
        self.logger.error("still away")
        self.assertEqual(self.logged()[1:], ["traces may be missing: still away (59 more since the last line)"])

    def test_recent_problems(self) -> None:
        """
        A failure is recent for a minute.
        """
        self.assertFalse(self.problems.is_recent)
        self.logger.error("the collector is away")
        self.now_seconds = 59
        self.assertTrue(self.problems.is_recent)
        self.now_seconds = 60
        self.assertFalse(self.problems.is_recent)

    def test_what_is_no_problems(self) -> None:
        """
        Only warnings and errors are logged.
        """
        self.logger.info("all is well")
        self.assertEqual(self.logged(), [])


class VariableTests(SynchronousTestCase):
    """
    The variables of OpenTelemetry.
    """

    def test_what_the_registry_has(self) -> None:
        """
        OTLP over HTTP is the default, and may be named; the variable for traces counts before the one for all signals.
        """
        check_variables({})
        check_variables({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
        check_variables({"OTEL_TRACES_EXPORTER": "none"})
        check_variables({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    def test_what_it_lacks(self) -> None:
        """
        Other exporters and protocols stop the start, because the library would ignore them.
        """
        for name, value in (("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")):
            error = self.assertRaises(CannotStart, check_variables, {name: value})
            self.assertIn(f"{name} is '{value}'", str(error))

    def test_disabled(self) -> None:
        """
        The variable that turns the library off is known.
        """
        self.assertEqual(
            [is_disabled({"OTEL_SDK_DISABLED": each}) for each in ("TRUE", "false", "")], [True, False, False]
        )
        self.assertFalse(is_disabled({}))

    def test_resource(self) -> None:
        """
        The spans say which version and which process of the registry has made them.
        """
        export = TraceExport({})
        self.addCleanup(export.close)
        attributes = export.provider.resource.attributes
        self.assertEqual(attributes["service.version"], __version__)
        self.assertIn("service.instance.id", attributes)
        self.assertIn("service.name", attributes)


class DaemonTracingTests(SynchronousTestCase):
    """
    The traces of a daemon.
    """

    def start(self, exporter: SpanExporter, flush_seconds: float = 5.0) -> DaemonTracing:
        """
        Begin to trace, and trace a call.
        """
        self.reactor = Reactor()
        self.lines = LoggedLines(self)
        export = TraceExport({}, exporter)
        tracing = DaemonTracing(self.reactor, export, Tracer(export.provider), flush_seconds)
        threads = threading.active_count()
        tracing.tracer.begin_call(CALL).end_call("OK")
        self.assertEqual(threading.active_count(), threads, "no thread runs before the start: the daemon forks")
        tracing.start(MemoryArchive())
        tracing.tracer.begin_call(CALL).end_call("OK")
        return tracing

    def test_stop_sends_the_rest(self) -> None:
        """
        The spans that wait are sent when the daemon stops.
        """
        exporter = InMemorySpanExporter()
        stopped = self.start(exporter).stop()
        self.reactor.from_threads.get(timeout=TIMEOUT_SECONDS)()
        self.successResultOf(stopped)
        self.assertEqual([span.name for span in exporter.get_finished_spans()], ["tests.Tests/Test"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.lines.of("twisted_registry"), [])

    def test_stop_after_problems(self) -> None:
        """
        If something went wrong in the last minute, the daemon does not try the collector again when it stops.
        """
        exporter = InMemorySpanExporter()
        tracing = self.start(exporter)
        logging.getLogger("opentelemetry.tests").warning("the collector is away")
        tracing.stop()
        self.reactor.from_threads.get(timeout=TIMEOUT_SECONDS)()
        self.assertEqual(exporter.get_finished_spans(), ())
        self.assertEqual(self.lines.of("twisted_registry"), ["traces may be missing: the collector is away"])

    def test_collector_that_does_not_answer(self) -> None:
        """
        The daemon does not wait for it for longer than some seconds.
        """
        exporter = HangingExporter()
        stopped = self.start(exporter, 5.0).stop()
        self.reactor.advance(4.9)
        self.assertNoResult(stopped)
        self.reactor.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual(self.lines.of("twisted_registry"), ["the last traces were not sent within 5 s"])
        exporter.has_ended.set()
        self.reactor.from_threads.get(timeout=TIMEOUT_SECONDS)()
