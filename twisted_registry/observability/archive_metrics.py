"""
The metrics of the archive.
"""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric as Family
from zope.interface import implementer

from twisted_registry.contracts.observation import IArchiveObserver
from twisted_registry.observability import metrics
from twisted_registry.observability.instruments import Counter, HistogramSeries


@implementer(IArchiveObserver)
class ArchiveMetrics:
    """
    The metrics of an archive's operations.
    """

    def __init__(self) -> None:
        self._operations = HistogramSeries(metrics.ARCHIVE_SECONDS)
        self._syncs = HistogramSeries(metrics.SYNC_SECONDS)
        self._errors = Counter(metrics.ARCHIVE_ERRORS)

    def succeeded(self, operation: str, seconds: float) -> None:
        """See ``IArchiveObserver.succeeded``."""
        self._operations.observe(seconds, operation)

    def failed(self, operation: str, cause: str) -> None:
        """See ``IArchiveObserver.failed``."""
        self._errors.add(operation, cause)

    def synced(self, seconds: float) -> None:
        """See ``IArchiveObserver.synced``."""
        self._syncs.observe(seconds)

    def collect(self) -> Iterator[Family]:
        """
        Return the metrics, as a collector of prometheus-client does.
        """
        for each in (self._operations, self._syncs, self._errors):
            yield from each.collect()
