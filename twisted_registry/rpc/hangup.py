"""
Hanging up on a client.

gRPC for Python ends a call whose client does not read only once the client has read what is on its way to it: that
memory is held for as long as the client likes.  What always helps is to shut its connection down.
"""

import os
import socket
from contextlib import suppress
from urllib.parse import unquote

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
    return host.strip("[]").removeprefix(_MAPPED), int(port)


def hang_up(peer: str) -> bool:
    """
    Shut down the connection with a client.  All its calls on it end.

    @param peer: the client, as gRPC's context of a call gives it.

    @return: whether there was such a connection.
    """
    address = _address(peer)
    if address is None:
        return False
    for name in os.listdir(_OPEN_DESCRIPTORS):
        # Most are no connections, and one or another is closed by now.
        with suppress(OSError), _duplicate(int(name)) as connection:
            if _peer_of(connection) == address:
                connection.shutdown(socket.SHUT_RDWR)
                return True
    return False


def _duplicate(descriptor: int) -> socket.socket:
    # It stays the same connection, whatever happens meanwhile to the number it was found by.
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _peer_of(connection: socket.socket) -> tuple[str, int] | None:
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    host, port = connection.getpeername()[:2]
    return host.removeprefix(_MAPPED), port
