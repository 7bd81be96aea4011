"""
The options of the gRPC server.
"""

from typing import Any

from twisted_registry.config.limits import ClientLimits
from twisted_registry.protocol.limits import METADATA_MAX_BYTES

_MESSAGE_MAX_BYTES = 64 * 1024 * 1024

_TCP_CHUNK_BYTES = 256 * 1024
"""
How much gRPC reads from a connection at a time.  With 4 MiB an upload takes a tenth less time, but each connection
takes 260 KB.
"""

_WINDOW_BYTES = 2 * 1024 * 1024
"""
How much of a call's messages the client may send before they are read: enough for 40 MB/s at a round trip of 50 ms.  By
default gRPC widens this to what the connection could carry, and receives a hundred megabytes ahead of a slow disk.
"""

_HANDSHAKE_SECONDS = 10.0
"""How long a client may take from connecting to its first bytes of HTTP/2."""

_PENDING_MIN = 1000
"""Calls beyond ``--max-calls`` are to be refused with a text, and health checks do not count."""

_HEALTH_IDLE_SECONDS = 2.0
_HEALTH_CONNECTION_SECONDS = 300.0
_HEALTH_GRACE_SECONDS = 60.0
"""How long a client may watch the health on a connection that has become too old."""

_NO_COMPRESSION = 1
"""The set of compression algorithms that contains only 'identity'."""

_PING_ANSWER_SECONDS_MAX = 20.0

_FIXED: list[tuple[str, Any]] = [
    ("grpc.so_reuseport", 0),  # otherwise a second daemon would share the port without an error
    ("grpc.max_receive_message_length", _MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", -1),
    # Both limits are equal: between them, gRPC refuses at random, so the same call with the same token may work or not.
    ("grpc.max_metadata_size", METADATA_MAX_BYTES),
    ("grpc.absolute_max_metadata_size", METADATA_MAX_BYTES),
    ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
    ("grpc.http2.bdp_probe", 0),
    # Clients may ping every 10 s.  (GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS: its text has no 'recv'.)
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # A kilobyte can unpack to a megabyte, in memory that gRPC takes before the server sees the message.
    ("grpc.compression_enabled_algorithms_bitset", _NO_COMPRESSION),
    ("grpc.server_handshake_timeout_ms", round(_HANDSHAKE_SECONDS * 1000)),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.experimental.tcp_min_read_chunk_size", _TCP_CHUNK_BYTES),
    ("grpc.experimental.tcp_read_chunk_size", _TCP_CHUNK_BYTES),
]


def server_options(
    clients: ClientLimits, keepalive_seconds: float, listeners: int, most_connection_seconds: float | None = None
) -> list[tuple[str, Any]]:
    """
    Return the options of a server.

    Args:
        keepalive_seconds: the time without a sign of a client after which gRPC pings it.
        listeners: the number of addresses and ports to listen on.
        most_connection_seconds: the time after which a client is asked to open another connection; ``None`` for never.
    """
    options = [*_FIXED, *_bounds(clients, listeners), *_keepalive(keepalive_seconds)]
    if most_connection_seconds is not None:
        options.append(("grpc.max_connection_age_ms", round(most_connection_seconds * 1000)))
    return options


def health_options(clients: ClientLimits, keepalive_seconds: float, listeners: int) -> list[tuple[str, Any]]:
    """
    Return the options of a server that serves only health checks: probes come and go, and a client that stays is in
    the way of others.

    Args:
        keepalive_seconds: see ``server_options``.
        listeners: the number of addresses to listen on.
    """
    return [
        *server_options(clients, keepalive_seconds, listeners, _HEALTH_CONNECTION_SECONDS),
        ("grpc.max_connection_idle_ms", round(_HEALTH_IDLE_SECONDS * 1000)),
        ("grpc.max_connection_age_grace_ms", round(_HEALTH_GRACE_SECONDS * 1000)),
    ]


def _bounds(clients: ClientLimits, listeners: int) -> list[tuple[str, Any]]:
    return [
        # gRPC counts connections for each listener.
        ("grpc.max_allowed_incoming_connections", max(1, clients.connections_max // listeners)),
        ("grpc.max_concurrent_streams", clients.calls_per_connection_max),
        # In grpcio 1.67 it counts calls that have ended, and refuses those of clients that keep to the limit.
        ("grpc.http.overload_protection", 0),
        # By default gRPC cancels calls at random if more than a thousand wait: thousands of actors come back at once.
        ("grpc.server.max_pending_requests", max(clients.calls_max, _PENDING_MIN)),
        ("grpc.server.max_pending_requests_hard_limit", max(clients.calls_max, _PENDING_MIN)),
    ]


def _keepalive(silent_seconds: float) -> list[tuple[str, Any]]:
    # Without pings, the calls of clients that have died would keep what they hold.
    answer_seconds = min(silent_seconds, _PING_ANSWER_SECONDS_MAX)
    return [
        ("grpc.keepalive_time_ms", round(silent_seconds * 1000)),
        ("grpc.keepalive_timeout_ms", round(answer_seconds * 1000)),
        ("grpc.http2.max_pings_without_data", 0),  # by default gRPC pings twice, and then no more
        ("grpc.http2.ping_timeout_ms", round(answer_seconds * 1000)),
    ]
