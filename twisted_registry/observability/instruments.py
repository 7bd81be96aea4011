"""
Instruments: what is counted or measured as it happens, and read when metrics are collected.

On the path of each call, an increment of prometheus-client's own counters would cost several times as much as these.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from threading import Lock

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from twisted.logger import Logger

from twisted_registry.observability.metrics import Metric

_log = Logger()

Read = Callable[[], float | None]
"""Returns a number as it is now; ``None`` if there is none."""


def counter_family(metric: Metric, values: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    """
    Return a counter with its values, as prometheus-client takes it.
    """
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def histogram_family(metric: Metric, values: "Iterable[tuple[tuple[str, ...], Histogram]]") -> Family:
    """
    Return a histogram with its values, as prometheus-client takes it.
    """
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    bounds = [*map(str, metric.buckets), "+Inf"]
    for labels, histogram in values:
        # The copy is one step, so that the counts fit together.
        counts = histogram.counts.copy()
        buckets = [(bound, float(total)) for bound, total in zip(bounds, accumulate(counts), strict=True)]
        family.add_metric(labels, buckets, histogram.sum)
    return family


class Counter:
    """
    A counter with labels.  May be used in any thread.
    """

    def __init__(self, metric: Metric, *series: tuple[str, ...]) -> None:
        """

        Args:
            series: the values of the labels of series that are shown from the start, with 0.
        """
        self._metric = metric
        self._lock = Lock()
        self._values: dict[tuple[str, ...], float] = dict.fromkeys(series if metric.labels else [()], 0)

    def add(self, *labels: str, amount: float = 1) -> None:
        """
        Add to a series.

        Args:
            labels: the values of the labels.
        """
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount

    def value(self, *labels: str) -> float:
        """
        Return the value of a series.
        """
        return self._values.get(labels, 0)

    def collect(self) -> Iterator[Family]:
        """
        Return the counter, as a collector of prometheus-client does.
        """
        with self._lock:
            values = list(self._values.items())
        yield counter_family(self._metric, values)


class Histogram:
    """
    One series of a histogram.  Observed in one thread, read in any.

    Attributes:
        counts: the number of observations in each bucket; the last one is for those above all bounds.
        sum: the sum of the observations.
    """

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, metric: Metric) -> None:
        self._bounds = metric.buckets
        self.counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """
        Add an observation.
        """
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class HistogramSeries:
    """
    A histogram with labels.  May be used in any thread.
    """

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._lock = Lock()
        self._series: dict[tuple[str, ...], Histogram] = {}
        if not metric.labels:
            self.series()

    def series(self, *labels: str) -> Histogram:
        """
        Return a series, to observe in one thread.

        Args:
            labels: the values of the labels.
        """
        with self._lock:
            return self._get(labels)

    def _get(self, labels: tuple[str, ...]) -> Histogram:
        histogram = self._series.get(labels)
        if histogram is None:
            histogram = self._series[labels] = Histogram(self._metric)
        return histogram

    def observe(self, value: float, *labels: str) -> None:
        """
        Add an observation.

        Args:
            labels: the values of the labels.
        """
        with self._lock:
            self._get(labels).observe(value)

    def collect(self) -> Iterator[Family]:
        """
        Return the histogram, as a collector of prometheus-client does.
        """
        with self._lock:
            values = list(self._series.items())
        yield histogram_family(self._metric, values)


class Readings:
    """
    The numbers that are read when metrics are collected.
    """

    def __init__(self) -> None:
        self._reads: dict[Metric, list[tuple[tuple[str, ...], Read]]] = {}

    def add(self, metric: Metric, read: Read, *labels: str) -> None:
        """
        Add a number.

        Args:
            metric: its metric, a gauge or a counter.
            read: returns the number; called in any thread, and must not block.
            labels: the values of the labels.
        """
        self._reads.setdefault(metric, []).append((labels, read))

    def collect(self) -> Iterator[Family]:
        """
        Return the numbers, as a collector of prometheus-client does.  A number that cannot be read is left out.
        """
        for metric, reads in self._reads.items():
            values = [(labels, value) for labels, read in reads if (value := _value(metric, read)) is not None]
            if metric.kind == "counter":
                yield counter_family(metric, values)
            else:
                family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
                for labels, value in values:
                    family.add_metric(labels, value)
                yield family


def _value(metric: Metric, read: Read) -> float | None:
    try:
        return read()
    except Exception:  # one number must not take the others with it
        _log.failure("cannot read the metric {name}", name=metric.name)
        return None
