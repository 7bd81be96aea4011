"""
The metrics of what happens to models and versions.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from prometheus_client.metrics_core import Metric as Family

from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.events import (
    AliasChanged,
    ModelDeleted,
    ModelSaved,
    VersionArchived,
    VersionCommitted,
    VersionDeleted,
    VersionEvicted,
)
from twisted_registry.observability import metrics
from twisted_registry.observability.instruments import Counter

_TIERS = (("archived",), ("transient",))
_RANKS = ("latest", "recent", "superseded")
_EXCEEDED = ("bytes", "items", "quota")


class EventMetrics:
    """
    The counters of events.
    """

    def __init__(self) -> None:
        self._created = Counter(metrics.VERSIONS_CREATED, *_TIERS)
        self._created_bytes = Counter(metrics.VERSIONS_CREATED_BYTES, *_TIERS)
        self._archived = Counter(metrics.VERSIONS_ARCHIVED)
        self._deleted = Counter(metrics.VERSIONS_DELETED)
        self._models_created = Counter(metrics.MODELS_CREATED)
        self._models_deleted = Counter(metrics.MODELS_DELETED)
        self._alias_changes = Counter(metrics.ALIAS_CHANGES)
        self._evicted = Counter(metrics.EVICTIONS, *product(_RANKS, _EXCEEDED))
        self._evicted_bytes = Counter(metrics.EVICTED_BYTES)
        self._counters = [each for each in vars(self).values() if isinstance(each, Counter)]

    def follow(self, registry: IRegistry) -> None:
        """
        Count the events of a registry from now on.
        """
        count: dict[type, Callable[[Any], None]] = {
            VersionCommitted: self._count_created,
            VersionEvicted: self._count_evicted,
            ModelSaved: self._count_saved,
            VersionArchived: lambda event: self._archived.add(),
            VersionDeleted: lambda event: self._deleted.add(),
            ModelDeleted: lambda event: self._models_deleted.add(),
            AliasChanged: lambda event: self._alias_changes.add(),
        }
        registry.subscribe(lambda event: count[type(event)](event), *count)

    def _count_created(self, event: VersionCommitted) -> None:
        tier = "archived" if event.info.archived else "transient"
        self._created.add(tier)
        self._created_bytes.add(tier, amount=event.info.size_bytes)

    def _count_evicted(self, event: VersionEvicted) -> None:
        self._evicted.add(event.rank, event.exceeded)
        self._evicted_bytes.add(amount=event.size_bytes)

    def _count_saved(self, event: ModelSaved) -> None:
        if event.is_new:
            self._models_created.add()

    def collect(self) -> Iterator[Family]:
        """
        Return the counters, as a collector of prometheus-client does.
        """
        for each in self._counters:
            yield from each.collect()
