"""
Types of the client's results about metrics, followers, the server and the caller.
"""

from collections.abc import Sequence

from attrs import frozen


@frozen
class MetricSummary:
    """
    A metric that versions of a model have.

    Attributes:
        name: its name.
        version_count: how many versions have it.
        last_number: the newest version that has it.
        last_value: its value there.
        min_value: the lowest value.
        max_value: the highest value.
    """

    name: str
    version_count: int
    last_number: int
    last_value: float
    min_value: float
    max_value: float


@frozen
class MetricSeries:
    """
    The values of a metric over the versions of a model.

    Attributes:
        metric: the name of the metric.
        numbers: the numbers of the versions, ascending.
        values: the value of each.
        version_count: how many versions have the metric, also those that were left out.
    """

    metric: str
    numbers: Sequence[int]
    values: Sequence[float]
    version_count: int


@frozen
class Follower:
    """
    A stream that a client follows a model with, or several.

    Attributes:
        model_id: the model; empty if it follows several.
        prefix: the beginning of the ids of the models that it follows; empty for one model, and for all.
        stream: the call, such as ``VersionUpdate`` or ``WatchEvents``.
        actor: who follows, such as ``token:actor``; empty without access control.
        peer: the client's address, such as ``ipv4:192.0.2.7:51234``.
        started_ns: when it began, in nanoseconds since the Unix epoch.
        last_number: the last version that it was sent; 0 if there was none, or if it follows several models.
        last_ns: when it was last sent something, in nanoseconds since the Unix epoch; ``None`` if it was not.
    """

    model_id: str
    prefix: str
    stream: str
    actor: str
    peer: str
    started_ns: int
    last_number: int
    last_ns: int | None


@frozen(kw_only=True)
class ServerStatus:
    """
    The state of a server.

    Attributes:
        version: its version.
        started_ns: when it started, in nanoseconds since the Unix epoch.
        uptime_seconds: how long it runs.
        archive_problem: why the archive cannot be used; empty if it can.
        write_problem: why nothing can be stored; empty if it can.
        archive_id: distinguishes its archive from all others; empty if that has no id.
        model_count: how many models there are.
        memory_versions: how many versions are in memory.
        memory_max_versions: how many there may be; 0 if that is not known.
        memory_bytes: how many bytes of versions are in memory.
        memory_max_bytes: how many there may be; 0 if that is not known.
        evicted_latest: how many versions were evicted that were the latest of their model and not archived.
        search_index_bytes: the memory of the indexes of searches, in bytes.
        search_index_max_bytes: how much they may take, in bytes; 0 if that is not known.
        archive_versions: how many versions the archive has; ``None`` if that is not known, or not yet.
        archive_bytes: how many bytes they take; ``None`` if that is not known, or not yet.
        disk_free_bytes: how much can be written to the archive's disk; ``None`` if that is not known, or not yet.
        disk_bytes: the size of the disk; ``None`` if it is not known, or not yet.
        subscribers: how many streams of ``VersionUpdate`` there are.
        event_watches: how many streams of ``WatchEvents`` there are.
        running_calls: how many calls are under way, with this one.
        uploads_waiting: how many uploads wait for memory.
        uploads_reserved_bytes: the memory of the other uploads, in bytes.
        uploads_max_bytes: how much they may take, in bytes.
        uploads_refused: how many uploads were refused because there was no memory.
        kept_uploads: how many unfinished uploads are kept for their clients.
    """

    version: str
    started_ns: int
    uptime_seconds: float
    archive_problem: str
    write_problem: str
    archive_id: str
    model_count: int
    memory_versions: int
    memory_max_versions: int
    memory_bytes: int
    memory_max_bytes: int
    evicted_latest: int
    search_index_bytes: int
    search_index_max_bytes: int
    archive_versions: int | None
    archive_bytes: int | None
    disk_free_bytes: int | None
    disk_bytes: int | None
    subscribers: int
    event_watches: int
    running_calls: int
    uploads_waiting: int
    uploads_reserved_bytes: int
    uploads_max_bytes: int
    uploads_refused: int
    kept_uploads: int


@frozen
class CallerInfo:
    """
    The caller that a server sees in this client.

    Attributes:
        subject: such as ``token:ci``; empty without access control.
        token_id: the public part of its token; empty for other credentials.
        ends_ns: when its credential ends, in nanoseconds since the Unix epoch; ``None`` if it does not.
        actions: what it may do: ``admin``, ``alias``, ``archive``, ``delete``, ``describe``, ``publish``, ``read`` and
            ``status``.
    """

    subject: str
    token_id: str
    ends_ns: int | None
    actions: frozenset[str]
