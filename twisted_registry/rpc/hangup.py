"""
Hanging up on a client.

gRPC for Python ends a call whose client does not read only once the client has read what is on its way to it: that
memory is held for as long as the client likes.  What always helps is to shut its connection down.
"""

import os
import socket
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import unquote

from twisted.logger import Logger

_log = Logger()

_OPEN_DESCRIPTORS = "/dev/fd"

_MAPPED = "::ffff:"
"""How the system writes an address of IPv4 where it listens for both; gRPC writes it without."""


def _address(peer: str) -> tuple[str, int] | None:
    """
    Take apart what gRPC says of a client, such as C{ipv4:127.0.0.1:5000} and C{ipv6:%5B::1%5D:5000}.
    """
    family, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    if family not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return _bare(host.strip("[]")), int(port)


def hang_up(peers: Collection[str]) -> set[str]:
    """
    Shut down the connections with clients.  All their calls on them end.

    @param peers: the clients, as gRPC's context of a call gives them.

    @return: those with whom there was a connection.
    """
    wanted = {address: peer for peer in peers if (address := _address(peer)) is not None}
    found = set()
    for name in _open_descriptors():
        # Most are no connections, and one or another is closed by now.
        with suppress(OSError), _duplicate(int(name)) as connection:
            peer = wanted.get(_peer_of(connection))
            if peer is not None:
                connection.shutdown(socket.SHUT_RDWR)
                found.add(peer)
    return found


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


def _peer_of(connection: socket.socket) -> tuple[str, int]:
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return "", 0
    host, port = connection.getpeername()[:2]
    return _bare(host), port


def _bare(host: str) -> str:
    # A link's own address comes with the link, which some give by number and some by name.
    return host.removeprefix(_MAPPED).partition("%")[0]
