"""
All metrics of one server.
"""

import platform
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from zope.interface import implementer

from twisted_registry import __version__
from twisted_registry.contracts.observation import IExposition
from twisted_registry.observability import metrics
from twisted_registry.observability.archive_metrics import ArchiveMetrics
from twisted_registry.observability.call_metrics import EdgeMetrics
from twisted_registry.observability.delivery_metrics import DeliveryMetrics
from twisted_registry.observability.event_metrics import EventMetrics
from twisted_registry.observability.instruments import HistogramSeries, Readings

_PLAIN = "text/plain; version=0.0.4; charset=utf-8"
_OPEN_METRICS = "application/openmetrics-text"


@implementer(IExposition)
class ServerMetrics:
    """
    The metrics of a server.

    Attributes:
        models: see ``IExposition.models``.
        edge: those of calls.
        archive: those of the archive.
        events: those of models and versions.
        deliveries: those of deliveries.
        lag: the lag of the event loops.
        readings: the numbers that are read when they are asked for.
    """

    def __init__(self, models: Sequence[str] = (), grpc_version: str = "") -> None:
        """

        Args:
            models: see ``IExposition.models``.
            grpc_version: the version of gRPC.
        """
        self.models = tuple(models)
        self.lag = HistogramSeries(metrics.LOOP_LAG_SECONDS)
        self.edge = EdgeMetrics(self.lag)
        self.archive = ArchiveMetrics()
        self.events = EventMetrics()
        self.deliveries = DeliveryMetrics()
        self.readings = Readings()
        self.readings.add(metrics.BUILD, lambda: 1, __version__, platform.python_version(), grpc_version)
        self._registry = CollectorRegistry(auto_describe=False)
        for each in (self.edge, self.events, self.deliveries, self.archive, self.lag, self.readings):
            self._registry.register(each)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[str, bytes]:
        """See ``IExposition.render``."""
        if _OPEN_METRICS in accept:
            return openmetrics.CONTENT_TYPE_LATEST, openmetrics.generate_latest(self._registry)
        return _PLAIN, generate_latest(self._registry)
