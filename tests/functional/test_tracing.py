"""
Tests of traces across programs: a daemon, and clients of all three faces.  A collector in the test receives them.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.functional.test_start_failures import StartFailureTestCase
from tests.support.collector import CollectedSpan, Collector
from tests.support.daemon import Daemon, clean_environment, free_port, run_twistd, wait_until
from tests.support.guide import ADDRESS, blocks
from twisted_registry.client import BlockingClient

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "tracing.md").read_text()

TRACER = """
import sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = provider.get_tracer("tests")
address = sys.argv[1]
"""

FACES: Mapping[str, str] = {
    "aio": """
import asyncio
from twisted_registry.client.aio import Client
async def act():
    async with Client(address) as registry, registry.track("walker", data=True) as versions:
        print("ready", flush=True)
        version = await anext(versions)
        with tracer.start_as_current_span("act"):
            assert await registry.retrieve(version.info) == version.data
asyncio.run(act())
""",
    "blocking": """
from twisted_registry.client import BlockingClient
with BlockingClient(address) as registry, registry.track("walker", data=True) as versions:
    print("ready", flush=True)
    version = next(versions)
    with tracer.start_as_current_span("act"):
        assert registry.retrieve(version.info) == version.data
""",
    "deferred": """
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from twisted_registry.client.deferred import DeferredClient
async def act():
    async with DeferredClient(reactor, address) as registry:
        async with registry.track("walker", data=True) as versions:
            print("ready", flush=True)
            version = await anext(versions)
            with tracer.start_as_current_span("act"):
                assert await registry.retrieve(version.info) == version.data
    provider.shutdown()
react(lambda reactor: ensureDeferred(act()))
""",
}
"""Actors, each with another face of the client."""


class TracingTestCase(StartFailureTestCase):
    """
    A collector, and programs that send it their spans.
    """

    def setUp(self) -> None:
        """
        Start the collector.
        """
        super().setUp()
        self.collector = Collector()
        self.addCleanup(self.collector.close)
        self.environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    def start(self, *flags: str, **environment: str) -> Daemon:
        """
        Start a daemon that traces calls.
        """
        variables = {**self.environment, **environment}
        daemon = Daemon(self.directory, ("--traces", *flags), variables, is_forked=True)
        self.addCleanup(daemon.kill)
        return daemon.start()

    def run_program(self, code: str, daemon: Daemon, name: str) -> "subprocess.Popen[str]":
        """
        Run a Python program.
        """
        program = subprocess.Popen(
            [sys.executable, "-c", code, f"127.0.0.1:{daemon.port}"],
            env=clean_environment({**self.environment, "OTEL_SERVICE_NAME": name}),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        return program

    def end(self, program: "subprocess.Popen[str]") -> str:
        """
        Wait until a program has ended well, and return what it has printed.
        """
        printed, _ = program.communicate()
        self.assertEqual(program.returncode, 0)
        return printed


class OneTraceTests(TracingTestCase):
    """
    A version from the trainer to the actors.
    """

    def child(self, parent: CollectedSpan, name: str, service: str) -> CollectedSpan:
        """
        Return the only part of a span that has this name.
        """
        found = [each for each in self.collector.spans(name, service) if each.parent_id == parent.span_id]
        self.assertEqual([each.trace_id for each in found], [parent.trace_id], (name, service))
        return found[0]

    def test_one_trace(self) -> None:
        """
        The trainer's upload, the commit, the push and the actors' downloads are one trace, with any face of the client.
        What an actor does in a span belongs to that, with a link to the creation.
        """
        daemon = self.start()
        with BlockingClient(f"127.0.0.1:{daemon.port}") as registry:
            registry.ensure_model("walker")
            actors = {name: self.run_program(f"{TRACER}{code}", daemon, name) for name, code in FACES.items()}
            for actor in actors.values():
                assert actor.stdout is not None
                self.assertEqual(actor.stdout.readline(), "ready\n")
            (trainer,) = [each.text for each in blocks(PAGE) if each.text.startswith("# trainer.py")]
            program = trainer.replace(ADDRESS, f"127.0.0.1:{daemon.port}").replace(".publish(", ".store(")
            self.end(self.run_program(program, daemon, "trainer"))
        for actor in actors.values():
            self.end(actor)
        self.collector.wait_for("push version")
        self.collector.wait_for("RetrieveVersionData", 6)
        self.assertEqual(daemon.stop(), 0)

        (train,) = self.collector.spans("train", "trainer")
        store = self.child(train, "store version", "trainer")
        create = self.child(store, "/CreateVersion", "twisted-registry")
        write = self.child(create, "archive write", "twisted-registry")
        self.child(write, "fsync", "twisted-registry")
        commit = self.child(create, "commit", "twisted-registry")
        self.child(commit, "archive commit", "twisted-registry")
        push = self.child(create, "push version", "twisted-registry")
        self.assertEqual(push.attributes["twisted_registry.subscribers"], 3)
        self.assertEqual(push.attributes["twisted_registry.sent"], 3)
        for name in FACES:
            fetch = self.child(create, "fetch version", name)
            call = self.child(fetch, "/RetrieveVersionData", "twisted-registry")
            self.child(call, "send from memory", "twisted-registry")
            (act,) = self.collector.spans("act", name)
            retrieve = self.child(act, "retrieve version", name)
            self.assertEqual(retrieve.links, [(create.trace_id, create.span_id)])
            self.child(retrieve, "/RetrieveVersionData", "twisted-registry")
        self.assertEqual(self.collector.spans("/GetVersion"), [])

    def test_page(self) -> None:
        """
        The programs of the guide run as they are.
        """
        daemon = self.start()
        programs = [each.text for each in blocks(PAGE) if each.language == "python"]
        trainer, actor = (each.replace(ADDRESS, f"127.0.0.1:{daemon.port}") for each in programs)
        self.end(self.run_program(trainer, daemon, "trainer"))
        self.assertEqual(self.end(self.run_program(actor, daemon, "actor")), "1\n")
        (fetch,) = self.collector.wait_for("fetch version")
        (train,) = self.collector.wait_for("train")
        self.assertEqual(fetch.trace_id, train.trace_id)

    def test_http(self) -> None:
        """
        A call by HTTP is a part of its caller's trace, too.  A variable names the service.
        """
        port = free_port()
        self.start("--http-port", str(port), OTEL_SERVICE_NAME="models")
        trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/ListModels", headers={"traceparent": f"00-{trace_id}-{span_id}-01"}
        )
        with urllib.request.urlopen(request) as reply:
            self.assertEqual(json.load(reply), {})
        (span,) = self.collector.wait_for("twisted_registry.v1.Registry/ListModels")
        self.assertEqual((span.service, span.trace_id, span.parent_id), ("models", trace_id, span_id))

    def test_events(self) -> None:
        """
        The event of a new version has the context of its creation.
        """
        port = free_port()
        daemon = self.start("--http-port", str(port))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/events?kinds=version_created") as stream:
            with BlockingClient(f"127.0.0.1:{daemon.port}") as registry:
                registry.ensure_model("walker")
                registry.publish("walker", b"weights")
            events = (json.loads(line[len(b"data: ") :]) for line in stream if line.startswith(b"data: "))
            event = next(each for each in events if "versionCreated" in each)
        (create,) = self.collector.wait_for("/CreateVersion")
        self.assertRegex(event["traceparent"], f"^00-{create.trace_id}-{create.span_id}-[0-9a-f]{{2}}$")


class CollectorTests(TracingTestCase):
    """
    A registry without a collector.
    """

    def test_collector_that_is_away(self) -> None:
        """
        Calls are answered, the log has a line, and the daemon stops well.
        """
        self.collector.close()
        daemon = self.start()
        with BlockingClient(f"127.0.0.1:{daemon.port}") as registry:
            registry.ensure_model("walker")
            wait_until(lambda: [line for line in daemon.lines if "traces may be missing" in line], "the line")
            for _ in range(50):
                registry.publish("walker", b"weights")
            self.assertEqual(registry.latest("walker").version_number, 50)
        self.assertEqual(daemon.stop(), 0)
        lines = [line for line in daemon.lines if "traces may be missing" in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertNotIn("Traceback", "".join(daemon.lines))

    def test_last_spans(self) -> None:
        """
        The spans that wait when the daemon stops are sent.
        """
        daemon = self.start(OTEL_BSP_SCHEDULE_DELAY="600000")
        with BlockingClient(f"127.0.0.1:{daemon.port}") as registry:
            registry.ensure_model("walker")
        self.assertEqual(self.collector.spans(), [])
        self.assertEqual(daemon.stop(), 0)
        self.assertTrue(self.collector.spans())

    def test_disabled_library(self) -> None:
        """
        The variable that turns OpenTelemetry off has the effect that it has in other programs.
        """
        daemon = self.start(OTEL_SDK_DISABLED="true")
        with BlockingClient(f"127.0.0.1:{daemon.port}") as registry:
            registry.ensure_model("walker")
        self.assertEqual(daemon.stop(), 0)
        self.assertIn("OTEL_SDK_DISABLED is set: calls are not traced", "".join(daemon.lines))
        self.assertEqual(self.collector.spans(), [])

    def test_unsupported_protocol(self) -> None:
        """
        Variables that ask for what the registry lacks stop the start, with a line that says so.
        """
        result = run_twistd(
            self.directory, "-n", "model-registry", "--traces", environment={"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn(
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'; the registry sends traces by 'http/protobuf'", result.stderr
        )
        self.assertNotIn("Traceback", result.stderr)

    def test_mistakes_in_variables(self) -> None:
        """
        Values that OpenTelemetry does not accept stop the start, whenever it reads them.
        """
        said = "a variable of OpenTelemetry cannot be used: "
        for variable in ({"OTEL_BSP_MAX_QUEUE_SIZE": "10"}, {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"}):
            self.assert_cannot_start("--port", "0", "--traces", said=said, environment=variable)

    def test_missing_library(self) -> None:
        """
        Without OpenTelemetry the start fails, and the line says how to install it.
        """
        hidden = self.directory / "hidden" / "opentelemetry"
        hidden.mkdir(parents=True)
        (hidden / "__init__.py").write_text("raise ImportError('not installed')\n")
        path = os.pathsep.join(filter(None, (str(hidden.parent), os.environ.get("PYTHONPATH"))))
        result = run_twistd(self.directory, "-n", "model-registry", "--traces", environment={"PYTHONPATH": path})
        self.assertEqual(result.returncode, 1)
        self.assertIn("pip install 'twisted-registry[tracing]'", result.stderr)
        self.assertNotIn("Traceback", result.stderr)
