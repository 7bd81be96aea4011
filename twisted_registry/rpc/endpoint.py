"""
Where to listen.
"""

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.domain.errors import CannotStart

_log = Logger()

_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""What the system says of an address that this machine does not have, such as ::1 where IPv6 is off."""


@frozen
class Endpoint:
    """
    Where and how to serve.

    Attributes:
        interface: an address or a host's name.
        port: 0 picks a free one.
        chunk_bytes: length of the data in all chunks sent but a version's last.
        reflection: whether clients may ask for the service's description.
    """

    interface: str
    port: int
    chunk_bytes: int
    reflection: bool

    @property
    def host(self) -> str:
        """
        The interface as it stands before a port.
        """
        return bracketed(self.interface)


def bracketed(address: str) -> str:
    """
    Return an address as it stands before a port.
    """
    return f"[{address}]" if ":" in address else address


def _try_to_bind(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen()


def addresses_of(endpoint: Endpoint, try_to_bind: Callable[[int, Any], None] = _try_to_bind) -> Sequence[str]:
    """
    Resolve an interface, and try its port: gRPC does not say what is wrong with it, and of a name's addresses it takes
    those that are free and says nothing of the others.

    Returns:
        the addresses that this machine has, at least one.

    Raises:
        CannotStart: the port cannot be had on one of them, or this machine has none of them.
    """
    where = f"{endpoint.host}:{endpoint.port}"
    usable, missing = [], []
    for family, address in _resolved(endpoint, where):
        try:
            try_to_bind(family, address)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise CannotStart(f"cannot listen on {_told(where, endpoint, address[0])}: {_reason(error)}") from None
            missing.append((address[0], _reason(error)))
        else:
            usable.append(address[0])
    if not usable:
        told = "; ".join(f"{_told(where, endpoint, address)}: {reason}" for address, reason in missing)
        raise CannotStart(f"cannot listen on {told}")
    for address, reason in missing:
        _log.warn(
            "not listening on {address}, an address of {name}: {reason}",
            address=address,
            name=endpoint.interface,
            reason=reason,
        )
    return usable


def _resolved(endpoint: Endpoint, where: str) -> Sequence[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(endpoint.interface, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotStart(f"cannot listen on {where}: {_reason(error)}") from None
    return [*dict.fromkeys((int(family), address) for family, _, _, _, address in found)]


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _told(where: str, endpoint: Endpoint, address: str) -> str:
    return where if address == endpoint.interface else f"{where} ({address})"
