"""
The metrics of calls.
"""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric as Family
from zope.interface import implementer

from twisted_registry.contracts.observation import IEdgeObserver, IMethodObserver, Refusal
from twisted_registry.observability import metrics
from twisted_registry.observability.instruments import (
    Counter,
    Histogram,
    HistogramSeries,
    counter_family,
    histogram_family,
)

_GRPC = "grpc"
_KINDS: tuple[Refusal, ...] = ("unauthenticated", "denied", "quota", "overloaded", "throttled", "unavailable")


@implementer(IMethodObserver)
class MethodMetrics:
    """
    The metrics of one method.

    Attributes:
        codes: the number of calls that ended with each code.
        seconds: how long they took.
        received_bytes: the bytes of the messages received.
        sent_bytes: the bytes of those sent.
    """

    __slots__ = ("_observe", "codes", "received_bytes", "seconds", "sent_bytes")

    def __init__(self) -> None:
        self.codes = {"OK": 0}
        self.seconds = Histogram(metrics.CALL_SECONDS)
        self._observe = self.seconds.observe
        self.received_bytes = 0
        self.sent_bytes = 0

    def received(self, size_bytes: int) -> None:
        """See ``IMethodObserver.received``."""
        self.received_bytes += size_bytes

    def sent(self, size_bytes: int) -> None:
        """See ``IMethodObserver.sent``."""
        self.sent_bytes += size_bytes

    def ended(self, code: str, seconds: float) -> None:
        """See ``IMethodObserver.ended``."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self._observe(seconds)


@implementer(IEdgeObserver)
class EdgeMetrics:
    """
    The metrics of the gRPC server.
    """

    def __init__(self, lag: HistogramSeries) -> None:
        """

        Args:
            lag: the lag of the event loops.
        """
        self._methods: dict[tuple[str, str], MethodMetrics] = {}
        self._refusals = Counter(metrics.REFUSALS, *((kind,) for kind in _KINDS))
        self._delivery = HistogramSeries(metrics.DELIVERY_SECONDS)
        self.delivered = self._delivery.series().observe
        self.lagged = lag.series(_GRPC).observe

    def method(self, service: str, method: str) -> MethodMetrics:
        """See ``IEdgeObserver.method``."""
        return self._methods.setdefault((service, method), MethodMetrics())

    def refused(self, kind: Refusal) -> None:
        """See ``IEdgeObserver.refused``."""
        self._refusals.add(kind)

    def collect(self) -> Iterator[Family]:
        """
        Return the metrics, as a collector of prometheus-client does.  A method that was never called has no histogram.
        """
        methods = list(self._methods.items())
        codes = [((*labels, code), count) for labels, each in methods for code, count in each.codes.copy().items()]
        yield counter_family(metrics.CALLS, codes)
        called = [(labels, each.seconds) for labels, each in methods if any(each.seconds.counts)]
        yield histogram_family(metrics.CALL_SECONDS, called)
        received = [(labels, each.received_bytes) for labels, each in methods]
        yield counter_family(metrics.RECEIVED_BYTES, received)
        yield counter_family(metrics.SENT_BYTES, [(labels, each.sent_bytes) for labels, each in methods])
        yield from self._refusals.collect()
        yield from self._delivery.collect()
