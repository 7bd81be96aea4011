"""
The metrics of deliveries.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from twisted_registry.observability import metrics
from twisted_registry.observability.instruments import Counter


class DeliveryMetrics:
    """
    The metrics of deliveries.  They have no series without destinations.
    """

    def __init__(self) -> None:
        self._deliveries = Counter(metrics.DELIVERIES)
        self._read: Callable[[], Mapping[str, tuple[int, float]]] = dict

    def follow(self, read: Callable[[], Mapping[str, tuple[int, float]]]) -> None:
        """
        Show what waits from now on.

        Args:
            read: returns for each destination how many events wait for it, and for how many seconds the oldest has;
                called in any thread.
        """
        self._read = read

    def count(self, destination: str, result: str, amount: int) -> None:
        """
        Count attempts.
        """
        self._deliveries.add(destination, result, amount=amount)

    def collect(self) -> Iterator[Family]:
        """
        Return the metrics, as a collector of prometheus-client does.
        """
        yield from self._deliveries.collect()
        pending, oldest = (
            GaugeMetricFamily(each.name, each.help, labels=each.labels, unit=each.unit)
            for each in (metrics.DELIVERIES_PENDING, metrics.DELIVERIES_OLDEST)
        )
        for destination, (count, seconds) in self._read().items():
            pending.add_metric([destination], count)
            oldest.add_metric([destination], seconds)
        yield pending
        yield oldest
