"""
Hanging up on clients.

gRPC for Python ends a call whose client does not read only once the client has read what is on its way to it: that
memory is held for as long as the client likes.  What always helps is to shut its connection down.
"""

import os
import socket
import struct
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from urllib.parse import unquote

from twisted.logger import Logger

_log = Logger()

_OPEN_DESCRIPTORS = "/dev/fd"

_MAPPED = "::ffff:"
"""How the system writes an address of IPv4 where it listens for both; gRPC writes it without."""

_INTERNET = (socket.AF_INET, socket.AF_INET6)

_RECEIVED_OFFSET = 128
_TCP_INFO_BYTES = _RECEIVED_OFFSET + 8
"""Where ``tcpi_bytes_received`` stands in Linux' ``struct tcp_info``."""

Address = tuple[str, int]
"""A host and a port, the same for one peer however it is written."""


def address_of(peer: str) -> Address | None:
    """
    Take apart what gRPC says of a client, such as ``ipv4:127.0.0.1:5000`` and ``ipv6:%5B::1%5D:5000``.
    """
    family, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    if family not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return _bare(host.strip("[]")), int(port)


def disconnect(peers: Collection[str]) -> set[str]:
    """
    Shut down the connections with clients.  All their calls on them end.

    Args:
        peers: the clients, as gRPC's context of a call gives them.

    Returns:
        those with whom there was a connection.
    """
    wanted = {address: peer for peer in peers if (address := address_of(peer)) is not None}
    return {wanted[address] for address in shut_down(wanted)}


def shut_down(addresses: Collection[Address]) -> set[Address]:
    """
    Shut down the connections with clients at addresses.

    Returns:
        those with whom there was a connection.
    """
    found = set()
    for connection in _connections():
        with suppress(OSError):
            address = _peer_of(connection)
            if address in addresses:
                connection.shutdown(socket.SHUT_RDWR)
                found.add(address)
    return found


def accepted_on(port: int) -> dict[Address, int]:
    """
    Return the clients that are connected to a port of this process, and how many bytes each has sent: 0 where the
    system does not say.
    """
    found = {}
    for connection in _connections():
        with suppress(OSError):
            if connection.family in _INTERNET and connection.getsockname()[1] == port:
                found[_peer_of(connection)] = _received_bytes(connection)
    return found


def _received_bytes(connection: socket.socket) -> int:
    if sys.platform != "linux":
        return 0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return struct.unpack_from("Q", info, _RECEIVED_OFFSET)[0] if len(info) == _TCP_INFO_BYTES else 0


def _connections() -> Iterator[socket.socket]:
    """
    Iterate over the sockets of this process.  Each is a duplicate, closed before the next.
    """
    for name in _open_descriptors():
        # Most are no sockets, and one or another is closed by now.
        with suppress(OSError), _duplicate(int(name)) as connection:
            yield connection


def _open_descriptors() -> list[str]:
    try:
        return os.listdir(_OPEN_DESCRIPTORS)
    except OSError as error:  # there is no descriptor left to look for them with
        _log.warn("cannot hang up on anybody: {reason}", reason=error.strerror)
        return []


def _duplicate(descriptor: int) -> socket.socket:
    # It stays the same connection, whatever happens meanwhile to the number it was found by.
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
    # A link's own address comes with the link, which some give by number and some by name.
    return host.removeprefix(_MAPPED).partition("%")[0]
