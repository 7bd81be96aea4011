"""
Tests of the metrics.
"""

import re
from threading import Thread

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.support.exposition import Samples, samples_of
from twisted_registry.contracts.observation import IArchiveObserver, IEdgeObserver, IExposition, IMethodObserver
from twisted_registry.coordination.event_bus import EventBus
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.events import (
    AliasChanged,
    Event,
    ModelDeleted,
    ModelSaved,
    VersionArchived,
    VersionCommitted,
    VersionDeleted,
    VersionEvicted,
)
from twisted_registry.domain.models import ModelInfo, VersionInfo, VersionKey
from twisted_registry.observability import metrics
from twisted_registry.observability.archive_metrics import ArchiveMetrics
from twisted_registry.observability.call_metrics import EdgeMetrics, MethodMetrics
from twisted_registry.observability.event_metrics import EventMetrics
from twisted_registry.observability.instruments import Counter, HistogramSeries, Readings
from twisted_registry.observability.lag import LagMeter
from twisted_registry.observability.metrics import Metric
from twisted_registry.observability.server_metrics import ServerMetrics

_COUNTER = Metric("twisted_registry_things_total", "counter", "Things", ("kind",))
_SECONDS = Metric("twisted_registry_wait_seconds", "histogram", "Waits", (), (0.1, 1.0))
_GAUGE = Metric("twisted_registry_size_bytes", "gauge", "Size")
_KEY = VersionKey("m", 1, 1)


def _info(*, archived: bool = False, size_bytes: int = 10) -> VersionInfo:
    return VersionInfo("m", 1, 1_700_000_000_000_000_000, archived, "00", size_bytes, {})


class DeclarationTests(SynchronousTestCase):
    """
    The declarations of the metrics.
    """

    def test_names(self) -> None:
        """
        Each name is the project's, in base units, and declared once.
        """
        names = [metric.name for metric in metrics.ALL]
        self.assertEqual(len(names), len(set(names)))
        for name in names:
            self.assertRegex(name, r"^twisted_registry_[a-z][a-z_]*$")
            self.assertNotRegex(name, r"_(ms|milliseconds|minutes|kib|mib|gb|percent|ratio)(_|$)")

    def test_kinds(self) -> None:
        """
        Only names of counters end with '_total', and histograms have ascending buckets and a unit.
        """
        for metric in metrics.ALL:
            self.assertEqual(metric.name.endswith("_total"), metric.kind == "counter", metric.name)
            self.assertEqual(bool(metric.buckets), metric.kind == "histogram", metric.name)
            self.assertEqual(list(metric.buckets), sorted(set(metric.buckets)), metric.name)
            if metric.kind == "histogram":
                self.assertEqual(metric.unit, "seconds", metric.name)

    def test_labels(self) -> None:
        """
        No label holds an id that clients choose, except that of the models that the operator names.
        """
        labels = {label for metric in metrics.ALL for label in metric.labels}
        allowed = {"service", "method", "code", "kind", "tier", "rank", "exceeded", "operation", "cause", "loop"}
        allowed |= {"destination", "result"}
        self.assertEqual(labels - allowed - {"pool", "version", "python", "grpc", "model"}, set())
        of_models = {metric.name for metric in metrics.ALL if "model" in metric.labels}
        self.assertTrue(all(name.startswith("twisted_registry_model_") for name in of_models))

    def test_help(self) -> None:
        """
        Each help is a sentence without a full stop.
        """
        for metric in metrics.ALL:
            self.assertTrue(re.match(r"[A-Z0-9]", metric.help) and not metric.help.endswith("."), metric.name)


class InstrumentTests(SynchronousTestCase):
    """
    Counters, histograms and readings.
    """

    def test_counter(self) -> None:
        """
        A counter shows its first series from the start, and others once they are counted.
        """
        counter = Counter(_COUNTER, ("a",))
        counter.add("b", amount=2.5)
        counter.add("b")
        samples = samples_of(counter)
        self.assertEqual(samples.value(_COUNTER.name, kind="a"), 0)
        self.assertEqual(samples.value(_COUNTER.name, kind="b"), 3.5)
        self.assertIsNone(samples.value(_COUNTER.name, kind="c"))

    def test_counter_in_threads(self) -> None:
        """
        A counter loses nothing if several threads count.
        """
        counter = Counter(_COUNTER)

        def count() -> None:
            for _ in range(2000):
                counter.add("a")

        threads = [Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(counter.value("a"), 8000)

    def test_histogram(self) -> None:
        """
        A bucket counts what is at most its bound, with what the buckets below count.
        """
        series = HistogramSeries(_SECONDS)
        for seconds in (0.05, 0.1, 0.5, 7.0):
            series.observe(seconds)
        samples = samples_of(series)
        found = [samples.value(f"{_SECONDS.name}_bucket", le=bound) for bound in ("0.1", "1.0", "+Inf")]
        self.assertEqual(found, [2, 3, 4])
        self.assertEqual(samples.value(f"{_SECONDS.name}_count"), 4)
        self.assertEqual(samples.value(f"{_SECONDS.name}_sum"), 7.65)

    def test_readings(self) -> None:
        """
        A number is read each time; one that does not exist or cannot be read is left out, and the latter logged.
        """
        value = [1.0]
        readings = Readings()
        readings.add(_GAUGE, lambda: value[0])
        readings.add(_COUNTER, lambda: None, "none")
        readings.add(_COUNTER, lambda: 1 / 0, "bad")
        readings.add(_COUNTER, lambda: 4, "good")
        self.assertEqual(samples_of(readings).value(_GAUGE.name), 1)
        value[0] = 2.0
        samples = samples_of(readings)
        self.assertEqual(samples.value(_GAUGE.name), 2)
        self.assertEqual(samples.value(_COUNTER.name, kind="good"), 4)
        self.assertIsNone(samples.value(_COUNTER.name, kind="none"))
        self.assertIsNone(samples.value(_COUNTER.name, kind="bad"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_lag(self) -> None:
        """
        The meter reports once a second by how much its timer was late, until it is stopped.
        """
        clock, seen = Clock(), list[float]()
        meter = LagMeter(clock, seen.append)
        meter.start()
        clock.advance(1.0)
        clock.advance(1.5)
        self.assertEqual(seen, [0.0, 0.5])
        meter.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
        meter.stop()


class CallTests(SynchronousTestCase):
    """
    The metrics of calls.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.lag = HistogramSeries(metrics.LOOP_LAG_SECONDS)
        self.edge = EdgeMetrics(self.lag)

    def test_interfaces(self) -> None:
        """
        They are the observers that the edge reports to.
        """
        verifyObject(IEdgeObserver, self.edge)
        verifyObject(IMethodObserver, MethodMetrics())

    def test_calls(self) -> None:
        """
        Calls are counted by code, with their time and their bytes; a method that was not called has only zeros.
        """
        called, other = self.edge.method("s", "Called"), self.edge.method("s", "Other")
        self.assertIs(self.edge.method("s", "Other"), other)
        called.ended("OK", 0.002)
        called.ended("NOT_FOUND", 0.3)
        called.received(7)
        called.sent(5)
        called.sent(6)
        samples = samples_of(self.edge)
        labels = {"service": "s", "method": "Called"}
        self.assertEqual(samples.value(metrics.CALLS.name, code="OK", **labels), 1)
        self.assertEqual(samples.value(metrics.CALLS.name, code="NOT_FOUND", **labels), 1)
        self.assertEqual(samples.value(metrics.RECEIVED_BYTES.name, **labels), 7)
        self.assertEqual(samples.value(metrics.SENT_BYTES.name, **labels), 11)
        self.assertEqual(samples.value(f"{metrics.CALL_SECONDS.name}_count", **labels), 2)
        labels["method"] = "Other"
        self.assertEqual(samples.value(metrics.CALLS.name, code="OK", **labels), 0)
        self.assertIsNone(samples.value(f"{metrics.CALL_SECONDS.name}_count", **labels))

    def test_edge(self) -> None:
        """
        Refusals, deliveries and the lag of the loop are counted.
        """
        self.edge.refused("quota")
        self.edge.delivered(0.02)
        self.edge.lagged(0.003)
        samples = samples_of(self.edge, self.lag)
        self.assertEqual(samples.value(metrics.REFUSALS.name, kind="quota"), 1)
        self.assertEqual(samples.value(metrics.REFUSALS.name, kind="denied"), 0)
        self.assertEqual(samples.value(f"{metrics.DELIVERY_SECONDS.name}_sum"), 0.02)
        self.assertEqual(samples.value(f"{metrics.LOOP_LAG_SECONDS.name}_sum", loop="grpc"), 0.003)


class EventTests(SynchronousTestCase):
    """
    The metrics of events.
    """

    def test_events(self) -> None:
        """
        Each kind of event is counted.
        """
        counted, bus = EventMetrics(), EventBus()
        counted.follow(bus)  # type: ignore[arg-type]  # it only subscribes
        events: list[Event] = [
            VersionCommitted(_KEY, _info(size_bytes=10)),
            VersionCommitted(_KEY, _info(archived=True, size_bytes=20)),
            VersionCommitted(_KEY, _info(archived=True, size_bytes=30)),
            VersionArchived(_KEY, _info(archived=True)),
            VersionEvicted(_KEY, 5, "latest", "bytes"),
            VersionEvicted(_KEY, 6, "recent", "items"),
            VersionDeleted(_KEY, 5, False),
            ModelSaved(ModelInfo("m", {}), 1, True),
            ModelSaved(ModelInfo("m", {}), 1, False),
            ModelDeleted("m", 1),
            AliasChanged("m", 1, AliasMove("a", 0, 1, 1)),
        ]
        for event in events:
            bus.publish(event)
        samples = samples_of(counted)
        self.assertEqual(samples.value(metrics.VERSIONS_CREATED.name, tier="transient"), 1)
        self.assertEqual(samples.value(metrics.VERSIONS_CREATED.name, tier="archived"), 2)
        self.assertEqual(samples.value(metrics.VERSIONS_CREATED_BYTES.name, tier="archived"), 50)
        self.assertEqual(samples.value(metrics.EVICTIONS.name, rank="latest", exceeded="bytes"), 1)
        self.assertEqual(samples.value(metrics.EVICTIONS.name, rank="recent", exceeded="items"), 1)
        self.assertEqual(samples.value(metrics.EVICTED_BYTES.name), 11)
        for metric in ("VERSIONS_ARCHIVED", "VERSIONS_DELETED", "MODELS_CREATED", "MODELS_DELETED", "ALIAS_CHANGES"):
            self.assertEqual(samples.value(getattr(metrics, metric).name), 1, metric)


class ServerTests(SynchronousTestCase):
    """
    All metrics of a server.
    """

    def test_interfaces(self) -> None:
        """
        They can be rendered, and their parts report.
        """
        verifyObject(IExposition, ServerMetrics())
        verifyObject(IArchiveObserver, ArchiveMetrics())

    def test_formats(self) -> None:
        """
        A reader gets OpenMetrics if it accepts that, otherwise the plain format, whatever else it sends.
        """
        server = ServerMetrics(["a"], "1.2.3")
        kind, body = server.render("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        self.assertEqual(kind.partition(";")[0], "application/openmetrics-text")
        self.assertEqual(Samples(body.decode()).value(f"{metrics.LOOP_LAG_SECONDS.name}_count", loop="grpc"), 0)
        for accept in ("", "*/*", "text/plain;version=\r\n", "application/json"):
            kind, body = server.render(accept)
            self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
            self.assertIn(b"\n# TYPE twisted_registry_build_info gauge\n", body)

    def test_declared(self) -> None:
        """
        Each metric that is rendered is declared, or is the process's.
        """
        server = ServerMetrics()
        server.archive.synced(0.1)
        server.archive.succeeded("commit", 0.1)
        server.archive.failed("commit", "full")
        declared = {metric.name.removesuffix("_total") for metric in metrics.ALL}
        families = Samples(server.render("application/openmetrics-text")[1].decode()).families
        unknown = {name for name in families if name not in declared}
        self.assertTrue(all(name.startswith(("process_", "python_gc_")) for name in unknown), unknown)

    def test_separate(self) -> None:
        """
        Two servers in a process share nothing.
        """
        one, other = ServerMetrics(), ServerMetrics()
        one.edge.refused("denied")
        text = other.render("application/openmetrics-text")[1].decode()
        self.assertEqual(Samples(text).value(metrics.REFUSALS.name, kind="denied"), 0)
