"""
Metrics, parsed.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Labels = frozenset[tuple[str, str]]


class Samples:
    """
    The samples of an exposition.
    """

    def __init__(self, text: str) -> None:
        """

        Args:
            text: in the format of OpenMetrics.
        """
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._values: Mapping[tuple[str, Labels], float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """
        Return the value of a sample; ``None`` if there is none.
        """
        return self._values.get((name, frozenset(labels.items())))

    def all(self) -> Iterable[tuple[tuple[str, Labels], float]]:
        """
        Return all samples.
        """
        return self._values.items()

    def names(self) -> Iterable[str]:
        """
        Return the names of all samples.
        """
        return {name for name, _ in self._values}


def samples_of(*collectors: Collector) -> Samples:
    """
    Return the samples that collectors have now.
    """
    registry = CollectorRegistry()
    for each in collectors:
        registry.register(each)
    return Samples(generate_latest(registry).decode())
