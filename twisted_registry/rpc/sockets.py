"""
The sockets of the gRPC server, below gRPC.

gRPC for Python ends a call only after its client has read the data in flight to it, so a client that does not read
keeps that memory for as long as it likes.  Shutting down its connection always releases it.
"""

import os
import re
import resource
import socket
import struct
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote

from twisted.logger import Logger

from twisted_registry.repeated_lines import RepeatedLines

_log = Logger()
_lines = RepeatedLines()

_OPEN_DESCRIPTORS = "/dev/fd"

_MAPPED = "::ffff:"
"""The prefix of an IPv4 address on a socket that listens for both families; gRPC writes the address without it."""

_PEERS_MAX = 1024
"""The peers whose addresses are kept, parsed: some make thousands of calls."""

_HOST_BITS = 64
"""The bits of an IPv6 address that a client chooses."""

_INTERNET = (socket.AF_INET, socket.AF_INET6)

_RECEIVED_OFFSET = 128
_TCP_INFO_BYTES = _RECEIVED_OFFSET + 8
"""The offset of ``tcpi_bytes_received`` in Linux' ``struct tcp_info``, and the offset of its end."""

_RELAYED = re.compile(r"(unix:uid=[0-9]+):pid=[0-9]+,connection=([0-9]+)")

Address = tuple[str, int]
"""A host and a port, the same for one peer however it is written.  A user and a number if it is relayed."""


def address_of(peer: str) -> Address | None:
    """
    Return the address in gRPC's name for a client, such as ``ipv4:127.0.0.1:5000`` or ``ipv6:%5B::1%5D:5000``, or in
    the relay's, such as ``unix:uid=1000:pid=7,connection=1``; ``None`` if it holds none.
    """
    if found := _RELAYED.fullmatch(peer):
        return found[1], int(found[2])
    family, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    if family not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return _bare(host.strip("[]")), int(port)


@lru_cache(_PEERS_MAX)
def is_this_machine(peer: str) -> bool:
    """
    Return whether a peer, as gRPC names it, connects from this machine.
    """
    address = address_of(peer)
    return is_loopback(peer if address is None else address[0])


def is_loopback(host: str) -> bool:
    """
    Return whether a host is this machine: an address of its loopback interface, or a Unix socket.
    """
    if host.startswith(("127.", "unix")) or host == "::1":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False


@lru_cache(_PEERS_MAX)
def client_of(peer: str) -> str:
    """
    Return the address by which a peer, as gRPC names it, is counted with others of one client: without the port, see
    ``network_of``.
    """
    address = address_of(peer)
    return peer if address is None else network_of(address[0])


def network_of(host: str) -> str:
    """
    Return the address of a client for limits: of IPv6 the network of 64 bits, since one client may use all of it.
    """
    if ":" not in host:
        return host
    try:
        return f"{IPv6Address(int(IPv6Address(host)) >> _HOST_BITS << _HOST_BITS)}/{128 - _HOST_BITS}"
    except ValueError:
        return host


def disconnect(peers: Collection[str]) -> set[str]:
    """
    Shut down the connections with clients, which ends all calls on them.

    Args:
        peers: the clients, as gRPC names them.

    Returns:
        those that had a connection.
    """
    wanted = {address: peer for peer in peers if (address := address_of(peer)) is not None}
    return {wanted[address] for address in shut_down(wanted)}


def shut_down(addresses: Collection[Address]) -> set[Address]:
    """
    Shut down the connections with clients at these addresses.

    Returns:
        those that had a connection.
    """
    found = set()
    for connection in _connections():
        with suppress(OSError):
            address = _peer_of(connection)
            if address in addresses:
                connection.shutdown(socket.SHUT_RDWR)
                found.add(address)
    return found


def accepted_on(ports: Collection[int]) -> dict[Address, int]:
    """
    Return the clients that are connected to ports of this process, with the number of bytes each has sent: 0 if the
    system does not provide it.
    """
    found = {}
    for connection in _connections():
        with suppress(OSError):
            if connection.family in _INTERNET and connection.getsockname()[1] in ports:
                found[_peer_of(connection)] = _received_bytes(connection)
    return found


def open_descriptors() -> int:
    """
    Return the number of open descriptors of this process; 0 if the system does not provide it.
    """
    try:
        size = os.stat("/proc/self/fd").st_size  # since Linux 6.2 the number of entries, before that 0
        return size or len(os.listdir(_OPEN_DESCRIPTORS))
    except OSError:
        return 0


def descriptor_limit() -> int:
    """
    Return how many descriptors this process may have now.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _received_bytes(connection: socket.socket) -> int:
    if sys.platform != "linux":
        return 0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return struct.unpack_from("Q", info, _RECEIVED_OFFSET)[0] if len(info) == _TCP_INFO_BYTES else 0


def _connections() -> Iterator[socket.socket]:
    """
    Iterate over the sockets of this process.  Each is a duplicate, which is closed before the next.
    """
    for name in _descriptor_names():
        # Most descriptors are not sockets, and some may be closed by now.
        with suppress(OSError), _duplicate(int(name)) as connection:
            yield connection


def _descriptor_names() -> list[str]:
    try:
        return os.listdir(_OPEN_DESCRIPTORS)
    except OSError as error:  # there is no descriptor left to read the directory with
        reason = error.strerror
        _lines.happened(
            "",
            lambda times: _log.warn(
                "cannot close any connection: {reason}; raise the limit on descriptors", reason=reason
            ),
        )
        return []


def _duplicate(descriptor: int) -> socket.socket:
    # The duplicate stays the same connection if the descriptor is closed and its number used again.
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _peer_of(connection: socket.socket) -> Address:
    if connection.family not in _INTERNET:
        return "", 0
    host, port = connection.getpeername()[:2]
    return _bare(host), port


def _bare(host: str) -> str:
    # A link-local address comes with its interface, which may be a number or a name.
    return host.removeprefix(_MAPPED).partition("%")[0]
