"""
All metrics: their names, labels, help and buckets.  No other file has one.

Names have base units.  A label has few values, whatever clients do: never an id that a client chooses, except for the
models that the operator names.
"""

from collections.abc import Sequence
from typing import Literal

from attrs import frozen

PREFIX = "twisted_registry_"

Kind = Literal["counter", "gauge", "histogram"]

_CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_DISK_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@frozen
class Metric:
    """
    A metric.

    Attributes:
        name: the full name; that of a counter ends with ``_total``.
        kind: what it is to Prometheus.
        help: what it counts or measures, without a full stop.
        labels: the names of its labels.
        buckets: the upper bounds of a histogram, ascending, without infinity.
    """

    name: str
    kind: Kind
    help: str
    labels: Sequence[str] = ()
    buckets: Sequence[float] = ()

    @property
    def unit(self) -> str:
        """
        The unit; empty for a plain number.
        """
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in ("seconds", "bytes") else ""


ALL: list[Metric] = []
"""The metrics, in the order of the documentation."""


def _add(metric: Metric) -> Metric:
    ALL.append(metric)
    return metric


def _counter(name: str, help: str, *labels: str) -> Metric:
    return _add(Metric(f"{PREFIX}{name}_total", "counter", help, labels))


def _gauge(name: str, help: str, *labels: str) -> Metric:
    return _add(Metric(f"{PREFIX}{name}", "gauge", help, labels))


def _histogram(name: str, help: str, *labels: str, buckets: Sequence[float]) -> Metric:
    return _add(Metric(f"{PREFIX}{name}", "histogram", help, labels, buckets))


# Calls

CALLS = _counter("calls", "Calls that have ended, by status code", "service", "method", "code")
CALL_SECONDS = _histogram(
    "call_duration_seconds",
    "Time that calls took; that of a stream is the time that it was open",
    "service",
    "method",
    buckets=_CALL_SECONDS,
)
RECEIVED_BYTES = _counter("received_bytes", "Bytes of the messages received from clients", "service", "method")
SENT_BYTES = _counter("sent_bytes", "Bytes of the messages sent to clients", "service", "method")
REFUSALS = _counter(
    "refusals",
    "Calls refused whatever they asked for: unauthenticated, denied, quota, overloaded, throttled after wrong "
    "credentials, or unavailable at start and stop",
    "kind",
)
CALLS_RUNNING = _gauge("calls_running", "Calls under way, with streams")
CONNECTIONS = _gauge("connections", "Connections of clients")
CONNECTIONS_MAX = _gauge("connections_max", "Most connections that are accepted")

# Subscribers

SUBSCRIBERS = _gauge("subscribers", "Open streams of a model's newest version")
EVENT_WATCHES = _gauge("event_watches", "Open streams of events")
DELIVERY_SECONDS = _histogram(
    "delivery_duration_seconds",
    "Time from the commit of a version until a subscriber, or a watch of events, was sent it",
    buckets=_LAG_SECONDS,
)

# Transfers

UPLOADS_WAITING = _gauge("uploads_waiting", "Uploads that wait for memory")
UPLOADS_RESERVED_BYTES = _gauge("uploads_reserved_bytes", "Memory reserved by uploads under way")
UPLOADS_MAX_BYTES = _gauge("uploads_max_bytes", "Most memory that uploads under way may reserve")
UPLOADS_REFUSED = _counter("uploads_refused", "Uploads refused because they had waited too long, or too many waited")
DOWNLOADS_WAITING = _gauge("downloads_waiting", "Calls that wait for memory to send a reply")
DOWNLOADS_RESERVED_BYTES = _gauge("downloads_reserved_bytes", "Memory reserved for replies that are being sent")
DOWNLOADS_MAX_BYTES = _gauge("downloads_max_bytes", "Most memory that replies may reserve")
KEPT_UPLOADS = _gauge("kept_uploads", "Interrupted uploads that are kept, so that their client can go on")

# Models and versions

MODELS = _gauge("models", "Models, with damaged ones")
VERSIONS_CREATED = _counter("versions_created", "Versions created, by tier: archived or transient", "tier")
VERSIONS_CREATED_BYTES = _counter("versions_created_bytes", "Bytes of the versions created", "tier")
VERSIONS_ARCHIVED = _counter("versions_archived", "Transient versions moved to the archive")
VERSIONS_DELETED = _counter("versions_deleted", "Versions deleted by a client or a retention policy")
MODELS_CREATED = _counter("models_created", "Models created")
MODELS_DELETED = _counter("models_deleted", "Models deleted, with those that had disappeared from the archive")
ALIAS_CHANGES = _counter("alias_changes", "Moves and deletions of aliases")

# Memory

MEMORY_HELD_BYTES = _gauge("memory_held_bytes", "Data of versions held in memory")
MEMORY_MAX_BYTES = _gauge("memory_max_bytes", "Most data of versions that memory may hold")
MEMORY_VERSIONS = _gauge("memory_versions", "Versions held in memory, with copies of archived ones")
MEMORY_MAX_VERSIONS = _gauge("memory_max_versions", "Most versions that memory may hold")
EVICTIONS = _counter(
    "evictions",
    "Transient versions lost because memory was full, by rank: their model's latest, recent, or superseded",
    "rank",
    "exceeded",
)
EVICTED_BYTES = _counter("evicted_bytes", "Bytes of the transient versions evicted")
SEARCH_INDEX_BYTES = _gauge("search_index_bytes", "Approximate memory of the indexes of searches")
SEARCH_INDEX_MAX_BYTES = _gauge("search_index_max_bytes", "Most memory that the indexes of searches may take")

# The archive

ARCHIVE_SECONDS = _histogram(
    "archive_operation_duration_seconds",
    "Time of the archive's operations that succeeded: commit makes a version durable, finish syncs its data",
    "operation",
    buckets=_DISK_SECONDS,
)
SYNC_SECONDS = _histogram(
    "archive_sync_duration_seconds", "Time of single syncs of files and folders to the disk", buckets=_DISK_SECONDS
)
ARCHIVE_ERRORS = _counter(
    "archive_errors",
    "Operations of the archive that failed because of the medium, by cause: full, read_only, moved, unavailable or "
    "failure",
    "operation",
    "cause",
)
ARCHIVE_USABLE = _gauge("archive_usable", "1 while the archive can be used, otherwise 0")
WRITES_READY = _gauge("writes_ready", "1 while versions can be stored, as health checks of writes report, otherwise 0")
ARCHIVE_FREE_BYTES = _gauge("archive_free_bytes", "Space that the registry can still write on the archive's disk")
ARCHIVE_VERSIONS = _gauge("archive_versions", "Versions in the archive, when they were last counted")
ARCHIVE_BYTES = _gauge("archive_bytes", "Data of versions in the archive, when it was last counted")
ARCHIVE_DISK_BYTES = _gauge("archive_disk_bytes", "Size of the archive's disk")

# The process

LOOP_LAG_SECONDS = _histogram(
    "loop_lag_seconds",
    "Time by which timers fired too late, measured once a second: 'reactor' runs the registry, 'grpc' its calls",
    "loop",
    buckets=_LAG_SECONDS,
)
POOL_THREADS_MAX = _gauge("pool_threads_max", "Most threads of a pool", "pool")
POOL_BUSY = _gauge("pool_busy_threads", "Threads of a pool that run a job", "pool")
POOL_QUEUED = _gauge("pool_queued_jobs", "Jobs of a pool that wait for a thread", "pool")
START_SECONDS = _gauge("start_time_seconds", "When the registry began to serve, in seconds since the Unix epoch")
BUILD = _gauge("build_info", "Always 1; the labels have the versions", "version", "python", "grpc")

# Access control

ACCESS_RELOAD_FAILURES = _counter(
    "access_reload_failures", "Changes of files of access control that could not be used: the old ones stay in force"
)
AUDIT_MISSING = _counter("audit_entries_missing", "Entries that the audit log could not write")
CERTIFICATE_EXPIRES = _gauge(
    "certificate_expires_seconds", "When the TLS certificate of the server expires, in seconds since the Unix epoch"
)
ACCESS_FILES_REFUSED = _gauge(
    "access_files_refused", "Groups of files of access control that cannot be used as they are now"
)

# Deliveries

DELIVERIES = _counter(
    "deliveries",
    "Attempts to deliver an event, by result: delivered, failed, given_up after the last attempt; and events dropped "
    "because too many waited",
    "destination",
    "result",
)
DELIVERIES_PENDING = _gauge("deliveries_pending", "Events that wait to be delivered", "destination")
DELIVERIES_OLDEST = _gauge(
    "deliveries_oldest_pending_seconds",
    "How long the oldest event has waited to be delivered; 0 if none waits",
    "destination",
)

# Models that --metrics-models names

MODEL_LATEST = _gauge("model_latest_version", "Number of the model's latest version; 0 without one", "model")
MODEL_LATEST_CREATED = _gauge(
    "model_latest_created_seconds", "When the latest version was created, in seconds since the Unix epoch", "model"
)
MODEL_VERSIONS = _gauge("model_versions", "Versions of the model, by tier", "model", "tier")
MODEL_SUBSCRIBERS = _gauge("model_subscribers", "Open streams of the model's newest version", "model")
