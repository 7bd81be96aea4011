"""
The address to listen on.
"""

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from twisted_registry.config.network import NetworkSettings
from twisted_registry.domain.errors import CannotStart

_log = Logger()

_MISSING_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""The system's errors for an address that this machine does not have, such as ::1 without IPv6."""


def _try_to_bind(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen()


def addresses_of(network: NetworkSettings, try_to_bind: Callable[[int, Any], None] = _try_to_bind) -> Sequence[str]:
    """
    Resolve an interface, and try to bind its port.  gRPC does not report why that fails, and silently listens on only
    those of a name's addresses that are free.

    Returns:
        the addresses that this machine has, at least one.

    Raises:
        CannotStart: the port cannot be bound on one of them, or this machine has none of them.
    """
    where = f"{network.host}:{network.port}"
    usable, missing = [], []
    for family, address in _resolved(network, where):
        try:
            try_to_bind(family, address)
        except OSError as error:
            if error.errno not in _MISSING_ADDRESS:
                raise CannotStart(f"cannot listen on {_shown(where, network, address[0])}: {_reason(error)}") from None
            missing.append((address[0], _reason(error)))
        else:
            usable.append(address[0])
    if not usable:
        failures = "; ".join(f"{_shown(where, network, address)}: {reason}" for address, reason in missing)
        raise CannotStart(f"cannot listen on {failures}")
    for address, reason in missing:
        _log.warn(
            "not listening on {address}, an address of {name}: {reason}",
            address=address,
            name=network.interface,
            reason=reason,
        )
    return usable


def _resolved(network: NetworkSettings, where: str) -> Sequence[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(network.interface, network.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotStart(f"cannot listen on {where}: {_reason(error)}") from None
    return [*dict.fromkeys((int(family), address) for family, _, _, _, address in found)]


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _shown(where: str, network: NetworkSettings, address: str) -> str:
    return where if address == network.interface else f"{where} ({address})"
