"""
Settings of the network: where and how the daemon serves.
"""

from attrs import frozen

from twisted_registry.config.setting import setting
from twisted_registry.config.values import GROUP, INTERFACE, MODE, SOCKET, SWITCH, seconds, whole

DEFAULT_CHUNK_SIZE_BYTES = 4 * 2**20 - 2**10
"""A stock gRPC client refuses a message over 4 MiB, and the message is a little longer than its chunk."""

MAX_CHUNK_SIZE_BYTES = 64 * 2**20 - 5
"""The chunk in a message of 64 MiB, which has five more bytes."""


@frozen
class NetworkSettings:
    """
    Settings of the network.

    Attributes:
        port: the TCP port; 0 picks a free one.
        interface: an address, without brackets, or a host name.
        chunk_size_bytes: the data in each message of a version that is sent.
        reflection: whether gRPC reflection is served.
        health_port: the TCP port that serves only health checks; ``None`` for none.
        grace_seconds: how long running calls may take to finish when the daemon stops.
    """

    port: int = setting("port", whole(0, 65535), "TCP port to listen on; 0 picks a free port, which is logged", 9000)
    interface: str = setting(
        "interface",
        INTERFACE,
        "address to listen on; 0.0.0.0 or :: for all, so that anyone who can reach this machine can connect",
        "127.0.0.1",
    )
    chunk_size_bytes: int = setting(
        "sent-model-version-data-chunk-size",
        whole(1, MAX_CHUNK_SIZE_BYTES, " of bytes"),
        "bytes of data in each message of a version that is sent; over 4 MiB, clients must raise their own limit",
        DEFAULT_CHUNK_SIZE_BYTES,
        "just under 4 MiB, the largest message that stock clients accept",
    )
    reflection: bool = setting(
        "grpc-reflection", SWITCH, "serve the API's description to clients such as grpcurl", False, "off"
    )
    health_port: int | None = setting(
        "health-port",
        whole(0, 65535),
        "second TCP port that serves only health checks, without TLS and without tokens, for probes that know neither",
        None,
        "none",
    )
    grace_seconds: float = setting(
        "grace-seconds",
        seconds(0),
        "how long running calls may take to finish when the daemon stops; 0 cancels them at once",
        10.0,
        "10",
    )

    @property
    def host(self) -> str:
        """
        The interface as it is written before a port.
        """
        return bracketed(self.interface)


@frozen
class UnixSettings:
    """
    Settings of the Unix socket.

    Attributes:
        path: the file of the socket; ``None`` for none.
        mode: its permissions in octal digits; ``None`` for the default.
        group: the group of the file; ``None`` for that of the daemon.
        is_alone: whether the daemon listens nowhere else.
    """

    path: str | None = setting(
        "socket",
        SOCKET,
        "Unix socket to listen on as well, for clients on this machine, whose users the kernel reports",
        None,
        "none",
    )
    mode: str | None = setting(
        "socket-mode",
        MODE,
        "permissions of --socket: those who may write to it may connect",
        None,
        "0600, or 0660 with --socket-group",
    )
    group: str | None = setting("socket-group", GROUP, "group of --socket", None, "that of the daemon")
    is_alone: bool = setting(
        "socket-only", SWITCH, "listen on --socket alone, and on no port but that of --health-port", False, "off"
    )

    @property
    def file_mode(self) -> int:
        """
        The permissions of the file.
        """
        if self.mode is not None:
            return int(self.mode, 8)
        return 0o600 if self.group is None else 0o660


def bracketed(address: str) -> str:
    """
    Return an address as it is written before a port.
    """
    return f"[{address}]" if ":" in address else address
