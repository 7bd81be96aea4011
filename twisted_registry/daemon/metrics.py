"""
The wiring of the metrics: where the numbers are read that are not reported.
"""

import time
from functools import partial
from importlib.metadata import version
from typing import Any

from attrs import frozen

from twisted_registry.access.audit.log import AuditLog
from twisted_registry.config.load import Settings
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.observation import ISyncReporter
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.daemon.access import AccessControl
from twisted_registry.daemon.archive_numbers import ArchiveNumbers
from twisted_registry.daemon.pools import Pools
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.execution import TalliedPool
from twisted_registry.observability import metrics
from twisted_registry.observability.instruments import Read
from twisted_registry.observability.lag import LagMeter
from twisted_registry.observability.server_metrics import ServerMetrics
from twisted_registry.rpc.numbers import ServerNumbers

_REACTOR = "reactor"


def make_metrics(settings: Settings) -> ServerMetrics:
    """
    Return the metrics of a server.
    """
    return ServerMetrics(settings.metrics.models, version("grpcio"))


class MetricsService:
    """
    The metrics of a daemon: what they read, and what runs for them.
    """

    def __init__(self, reactor: Any, metrics: ServerMetrics, settings: Settings, pools: Pools) -> None:
        self._metrics = metrics
        self._settings = settings
        self._pools = pools
        self._lag = LagMeter(reactor, metrics.lag.series(_REACTOR).observe)

    def start(
        self,
        registry: IRegistry,
        archive: IArchive,
        archive_numbers: ArchiveNumbers,
        status: ArchiveStatus,
        numbers: ServerNumbers,
        access: AccessControl,
        audit_log: AuditLog | None,
    ) -> None:
        """
        Connect the metrics with the parts of a daemon that is about to serve.
        """
        self._metrics.events.follow(registry)
        self._read_calls(numbers)
        self._read_memory(registry)
        self._read_models(registry, numbers)
        self._read_pools()
        self._read_access(access, audit_log)
        now_seconds = time.time()
        self._add(metrics.START_SECONDS, lambda: now_seconds)
        self._add(metrics.ARCHIVE_USABLE, lambda: 0 if status.problem else 1)
        self._add(metrics.WRITES_READY, lambda: 0 if status.problem or status.write_problem else 1)
        self._watch_archive(archive, archive_numbers)
        self._lag.start()

    def stop(self) -> None:
        """
        Stop what runs for the metrics.
        """
        self._lag.stop()

    def _add(self, metric: metrics.Metric, read: Read, *labels: str) -> None:
        self._metrics.readings.add(metric, read, *labels)

    def _read_calls(self, numbers: ServerNumbers) -> None:
        limits, clients = self._settings.limits, self._settings.clients
        uploads, replies = numbers.uploads, numbers.replies
        self._add(metrics.CALLS_RUNNING, numbers.calls)
        self._add(metrics.CONNECTIONS, numbers.connections)
        self._add(metrics.CONNECTIONS_MAX, lambda: clients.connections_max)
        self._add(metrics.SUBSCRIBERS, numbers.subscriptions.__len__)
        self._add(metrics.EVENT_WATCHES, numbers.feed.__len__)
        self._add(metrics.UPLOADS_WAITING, lambda: uploads.waiting)
        self._add(metrics.UPLOADS_REFUSED, lambda: uploads.refused)
        self._add(metrics.UPLOADS_RESERVED_BYTES, lambda: uploads.reserved_bytes)
        self._add(metrics.UPLOADS_MAX_BYTES, lambda: limits.uploads_max_bytes)
        self._add(metrics.DOWNLOADS_WAITING, lambda: replies.waiting)
        self._add(metrics.DOWNLOADS_RESERVED_BYTES, lambda: replies.reserved_bytes)
        self._add(metrics.DOWNLOADS_MAX_BYTES, lambda: limits.downloads_max_bytes)
        self._add(metrics.KEPT_UPLOADS, numbers.kept_uploads.__len__)

    def _read_memory(self, registry: IRegistry) -> None:
        memory = self._settings.memory
        self._add(metrics.MEMORY_HELD_BYTES, lambda: registry.usage().size_bytes)
        self._add(metrics.MEMORY_MAX_BYTES, lambda: memory.max_bytes)
        self._add(metrics.MEMORY_VERSIONS, lambda: registry.usage().items)
        self._add(metrics.MEMORY_MAX_VERSIONS, lambda: memory.max_items)
        self._add(metrics.SEARCH_INDEX_BYTES, registry.search_index_bytes)
        self._add(metrics.SEARCH_INDEX_MAX_BYTES, lambda: memory.search_index_max_bytes)

    def _read_models(self, registry: IRegistry, numbers: ServerNumbers) -> None:
        self._add(metrics.MODELS, registry.model_count)
        for model_id in self._metrics.models:
            model = _NamedModel(registry, model_id)
            self._add(metrics.MODEL_LATEST, model.latest, model_id)
            self._add(metrics.MODEL_LATEST_CREATED, model.latest_created, model_id)
            self._add(metrics.MODEL_VERSIONS, model.archived, model_id, "archived")
            self._add(metrics.MODEL_VERSIONS, model.transient, model_id, "transient")
            self._add(metrics.MODEL_SUBSCRIBERS, partial(numbers.subscriptions.count, model_id), model_id)

    def _read_pools(self) -> None:
        for name, (pool, threads) in self._pools.sizes.items():
            self._read_pool(name, pool, threads)

    def _read_pool(self, name: str, pool: TalliedPool, threads: int) -> None:
        self._add(metrics.POOL_THREADS_MAX, lambda: threads, name)
        self._add(metrics.POOL_BUSY, lambda: min(pool.jobs, threads), name)
        self._add(metrics.POOL_QUEUED, lambda: max(0, pool.jobs - threads), name)

    def _read_access(self, access: AccessControl, audit_log: AuditLog | None) -> None:
        if audit_log is not None:
            self._add(metrics.AUDIT_MISSING, lambda: audit_log.missing)
        if access.tls is not None:
            self._add(metrics.CERTIFICATE_EXPIRES, access.tls.expires_seconds)
        self._add(metrics.ACCESS_RELOAD_FAILURES, lambda: sum(each.failures for each in access.files))
        self._add(metrics.ACCESS_FILES_REFUSED, lambda: sum(each.is_refused for each in access.files))

    def _watch_archive(self, archive: IArchive, numbers: ArchiveNumbers) -> None:
        if ISyncReporter.providedBy(archive):
            ISyncReporter(archive).report_syncs(self._metrics.archive.synced)
        if numbers.has_disk:
            self._add(metrics.ARCHIVE_FREE_BYTES, lambda: (disk := numbers.disk_bytes()) and disk[0])
            self._add(metrics.ARCHIVE_DISK_BYTES, lambda: (disk := numbers.disk_bytes()) and disk[1])
        if numbers.has_size:
            self._add(metrics.ARCHIVE_VERSIONS, lambda: (size := numbers.stored()) and size[0])
            self._add(metrics.ARCHIVE_BYTES, lambda: (size := numbers.stored()) and size[1])
        numbers.start()


@frozen
class _NamedModel:
    """
    A model with separate metrics.  They are missing while it does not exist, or has not been read.
    """

    _registry: IRegistry
    _model_id: str

    def _snapshot(self) -> ModelSnapshot | None:
        try:
            return self._registry.snapshot(self._model_id)
        except UnknownModel:
            return None

    def latest(self) -> float | None:
        """
        Return the number of the latest version; 0 if there is none.
        """
        snapshot = self._snapshot()
        return None if snapshot is None else snapshot.numbers.last or 0

    def latest_created(self) -> float | None:
        """
        Return when the latest version was created, in seconds since the Unix epoch.
        """
        snapshot = self._snapshot()
        return None if snapshot is None or snapshot.latest is None else snapshot.latest.created_ns / 1e9

    def archived(self) -> float | None:
        """
        Return the number of archived versions.
        """
        snapshot = self._snapshot()
        return None if snapshot is None else len(snapshot.numbers) - snapshot.numbers.transient_count

    def transient(self) -> float | None:
        """
        Return the number of transient versions.
        """
        snapshot = self._snapshot()
        return None if snapshot is None else snapshot.numbers.transient_count
