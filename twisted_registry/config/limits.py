"""
Limits on what clients can make the server hold, and on clients.
"""

from attrs import frozen

from twisted_registry.config.setting import Machine, setting
from twisted_registry.config.values import seconds, whole
from twisted_registry.domain.kept import UnfinishedLimits

_MAX_BYTES = 2**63 - 1
_MAX_COUNT = 10**6
_MAX_KEPT_UPLOADS = 10_000
"""Each interruption looks at all kept uploads."""
_MAX_CONNECTIONS = 10_000
_MAX_CALLS = 20_000
_CALL_BYTES = 50_000
"""The memory of a waiting call, such as a subscription."""

_KEPT_SHARE = 8
"""By default interrupted uploads keep at most this part of the memory for uploads, an eighth."""

_HEALTH_SHARE = 16
"""There may be this part as many connections and calls for health checks as for everything else."""

_HEALTH_CONNECTIONS_MIN = 32
_HEALTH_CALLS_MIN = 100
_HEALTH_CALLS_PER_CONNECTION = 20

_RESERVED_DESCRIPTORS = 96
"""Descriptors for the process itself and for the files of archived versions that are created and read."""

_MIN_CONNECTIONS = 8


def connections_within(descriptors: int) -> int:
    """
    Return how many connections a limit on descriptors allows, with a reserve for files.
    """
    return max(descriptors - max(_RESERVED_DESCRIPTORS, descriptors // 4), _MIN_CONNECTIONS)


def _calls_within(machine: Machine) -> int:
    return max(1, min(_MAX_CALLS, machine.memory_bytes // 8 // _CALL_BYTES))


@frozen
class Limits:
    """
    Limits on what calls can make the server hold.

    Attributes:
        version_max_bytes: the size of the largest version; 0 for no limit.
        uploads_max_bytes: how much data of running uploads is in memory at most.
        uploads_wait_seconds: how long an upload may wait for memory.
        upload_idle_seconds: how long a client may send nothing of an unfinished request, in seconds.
        downloads_max_bytes: how much data is being sent to readers at most.
        download_idle_seconds: how long a reader may take for a chunk while other readers wait.
        keepalive_seconds: how long a connection may be silent before the server pings its client.
        kept_uploads_max_items: how many interrupted uploads are kept at most.
        kept_uploads_max_bytes: how many bytes of archived versions they keep on the archive at most.
        kept_uploads_max_memory_bytes: how many bytes of transient versions they keep in memory at most; 0 becomes an
            eighth of ``uploads_max_bytes``.
        kept_uploads_seconds: how long an interrupted upload is kept.
    """

    version_max_bytes: int = setting(
        "version-max-bytes",
        whole(1, _MAX_BYTES, " of bytes"),
        "largest version accepted; a transient one must also fit into the memory for versions",
        0,
        "no limit",
    )
    uploads_max_bytes: int = setting(
        "uploads-max-bytes",
        whole(1, _MAX_BYTES, " of bytes"),
        "maximum size of all versions that are being uploaded, in bytes of memory; further uploads wait",
        lambda machine: max(1, machine.memory_bytes // 4),
        "a quarter of the memory that the process may use",
    )
    uploads_wait_seconds: float = setting(
        "uploads-wait-seconds",
        seconds(0),
        "how long the upload of a version may wait for memory before it is refused",
        30.0,
        "30",
    )
    upload_idle_seconds: float = setting(
        "upload-idle-seconds",
        seconds(0.1),
        "how long a client may send nothing, or less than 64 KiB, of an unfinished request before its call is aborted",
        60.0,
        "60",
    )
    downloads_max_bytes: int = setting(
        "downloads-max-bytes",
        whole(1, _MAX_BYTES, " of bytes"),
        "maximum size of the data on its way to readers, in bytes; further downloads wait",
        lambda machine: max(1, machine.memory_bytes // 8),
        "an eighth of the memory that the process may use",
    )
    download_idle_seconds: float = setting(
        "download-idle-seconds",
        seconds(0.1),
        "how long a reader may take for a chunk while others wait; then it is disconnected",
        60.0,
        "60",
    )
    keepalive_seconds: float = setting(
        "keepalive-seconds",
        seconds(1),
        "how long a connection may be silent before its client is pinged; a client that does not answer is "
        "disconnected",
        60.0,
        "60",
    )
    kept_uploads_max_items: int = setting(
        "kept-uploads-max-items",
        whole(0, _MAX_KEPT_UPLOADS),
        "maximum number of interrupted uploads that are kept, to go on with later; 0 to keep none",
        100,
    )
    kept_uploads_max_bytes: int = setting(
        "kept-uploads-max-bytes",
        whole(0, _MAX_BYTES, " of bytes"),
        "maximum size of what is kept of interrupted uploads of archived versions, in bytes on the archive",
        64 * 2**30,
    )
    kept_uploads_max_memory_bytes: int = setting(
        "kept-uploads-max-memory-bytes",
        whole(0, _MAX_BYTES, " of bytes"),
        "maximum size of what is kept of interrupted uploads of transient versions, in bytes of memory",
        0,
        "an eighth of --uploads-max-bytes",
    )
    kept_uploads_seconds: float = setting(
        "kept-uploads-seconds",
        seconds(1),
        "how long an interrupted upload is kept",
        3600.0,
        "3600",
    )

    def __attrs_post_init__(self) -> None:
        """
        Compute the default that depends on another setting.
        """
        if not self.kept_uploads_max_memory_bytes:
            object.__setattr__(self, "kept_uploads_max_memory_bytes", self.uploads_max_bytes // _KEPT_SHARE)

    @property
    def unfinished(self) -> UnfinishedLimits:
        """
        The limits on interrupted uploads, without those in memory.
        """
        return UnfinishedLimits(self.kept_uploads_max_items, self.kept_uploads_max_bytes, self.kept_uploads_seconds)


@frozen
class ClientLimits:
    """
    Limits on the number of clients and of their calls.

    Attributes:
        connections_max: how many connections there may be.
        connections_per_client_max: how many of them from one address of another machine; 0 becomes half of
            ``connections_max``.
        calls_per_connection_max: how many calls may run at once on one connection.
        calls_per_client_max: how many calls may run at once from one address; 0 becomes half of ``calls_max``.
        calls_max: how many calls may run at once.
    """

    connections_max: int = setting(
        "max-connections",
        whole(1, _MAX_COUNT),
        "maximum number of connections; further ones are closed, and idle ones too when the limit is near",
        lambda machine: min(_MAX_CONNECTIONS, connections_within(machine.descriptors)),
        f"{_MAX_CONNECTIONS}, or what the limit on descriptors leaves after a reserve for files",
    )
    connections_per_client_max: int = setting(
        "max-connections-per-client",
        whole(0, _MAX_COUNT),
        "maximum number of connections from one address of another machine, or from one /64 of IPv6; beyond it, they "
        "are closed, those without calls and the newest first",
        0,
        "half of --max-connections",
    )
    calls_per_connection_max: int = setting(
        "max-calls-per-connection",
        whole(1, _MAX_COUNT),
        "maximum number of concurrent calls on one connection, including subscriptions; further ones wait at the "
        "client",
        500,
    )
    calls_per_client_max: int = setting(
        "max-calls-per-client",
        whole(0, _MAX_COUNT),
        "maximum number of concurrent calls from one address; further ones are refused",
        0,
        "half of --max-calls",
    )
    calls_max: int = setting(
        "max-calls",
        whole(1, _MAX_COUNT),
        "maximum number of concurrent calls; further ones are refused",
        _calls_within,
        f"{_MAX_CALLS}, or what an eighth of the memory that the process may use allows",
    )

    def __attrs_post_init__(self) -> None:
        """
        Compute the defaults that depend on another setting.
        """
        if not self.connections_per_client_max:
            object.__setattr__(self, "connections_per_client_max", max(1, self.connections_max // 2))
        if not self.calls_per_client_max:
            object.__setattr__(self, "calls_per_client_max", max(1, self.calls_max // 2))

    @property
    def of_health(self) -> "ClientLimits":
        """
        The limits on health checks, which have a separate share of calls and connections.
        """
        return ClientLimits(
            connections_max=max(_HEALTH_CONNECTIONS_MIN, self.connections_max // _HEALTH_SHARE),
            calls_per_connection_max=min(self.calls_per_connection_max, _HEALTH_CALLS_PER_CONNECTION),
            calls_max=max(_HEALTH_CALLS_MIN, self.calls_max // _HEALTH_SHARE),
        )
