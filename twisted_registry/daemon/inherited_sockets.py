"""
Sockets that the service manager listens on, and passes to the daemon.

https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html describes how.  The service manager keeps
them open while the daemon is restarted, so that connections wait instead of being refused.

gRPC for Python accepts no socket that is already open, so its port cannot be passed.
"""

import os
import socket
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IListeningPort, IReactorSocket

from twisted_registry.config.load import Settings
from twisted_registry.config.network import bracketed
from twisted_registry.domain.errors import CannotStart, shown

_FIRST_DESCRIPTOR = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


@frozen
class InheritedSockets:
    """
    The sockets that were passed.

    Attributes:
        unix: the socket of ``--socket``; ``None`` if the daemon makes it.
        http: that of ``--http-port``; ``None`` if the daemon binds it.
    """

    unix: socket.socket | None = None
    http: socket.socket | None = None


def inherited_sockets(
    settings: Settings,
    environment: MutableMapping[str, str] = os.environ,
    process_id: int | None = None,
    first_descriptor: int = _FIRST_DESCRIPTOR,
) -> InheritedSockets:
    """
    Take the sockets that were passed to this process.  A socket is used for the setting that names its address.

    Args:
        settings: the settings.
        environment: the variables that say how many sockets there are; they are removed, since they are not meant for
            children of this process.
        process_id: the id of this process; ``None`` to ask for it.
        first_descriptor: the descriptor of the first socket.

    Raises:
        CannotStart: no setting names the address of a socket, or it cannot be used.
    """
    count = _count(environment, os.getpid() if process_id is None else process_id)
    for name in _VARIABLES:
        environment.pop(name, None)
    unix = http = None
    for descriptor in range(first_descriptor, first_descriptor + count):
        listener = _listener(descriptor)
        if _is_unix(listener, settings):
            unix = listener
        elif _is_http(listener, settings):
            http = listener
        else:
            raise CannotStart(_unused(listener, settings))
    if unix is not None and not (settings.unix.mode is None and settings.unix.group is None):
        raise CannotStart(
            "--socket-mode and --socket-group are for a socket that the daemon makes, but the service manager passed "
            "it; leave them out, and set SocketMode= and SocketGroup= in its socket unit"
        )
    return InheritedSockets(unix, http)


def _count(environment: Mapping[str, str], process_id: int) -> int:
    number = environment.get("LISTEN_FDS", "")
    is_meant = environment.get("LISTEN_PID") == str(process_id)
    return int(number) if is_meant and number.isascii() and number.isdigit() else 0


def _listener(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        found = socket.socket(fileno=descriptor)
        is_listening = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise CannotStart(
            f"LISTEN_FDS announces a socket as descriptor {descriptor}, but it is not a socket: {error.strerror}"
        ) from None
    if not is_listening or found.type != socket.SOCK_STREAM:
        raise CannotStart(
            f"the service manager passed a socket that accepts no connections as descriptor {descriptor}; use "
            "ListenStream= and Accept=no in the socket unit"
        )
    found.setblocking(False)
    return found


def _is_unix(listener: socket.socket, settings: Settings) -> bool:
    path = settings.unix.path
    if path is None or listener.family != socket.AF_UNIX:
        return False
    return Path(listener.getsockname()).resolve() == Path(path).resolve()


def _is_http(listener: socket.socket, settings: Settings) -> bool:
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    host, port = listener.getsockname()[:2]
    if port != settings.web.port:
        return False
    # The addresses must be the same: whether others may connect was decided by that of the settings.
    with suppress(ValueError):
        return ip_address(host) == ip_address(settings.web.interface)
    return False


def _unused(listener: socket.socket, settings: Settings) -> str:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        where = shown(str(name))
        return f"the service manager passed the socket {where}, which no setting names; pass --socket with its path"
    where = f"{bracketed(name[0])}:{name[1]}"
    if name[1] == settings.network.port:
        return (
            f"the service manager passed the socket {where}, but gRPC accepts no open socket for --port; leave it "
            "out of the socket unit, or serve --socket there"
        )
    return (
        f"the service manager passed the socket {where}, which no setting names; pass its address and port as "
        "--http-interface and --http-port"
    )


def adopt(reactor: IReactorSocket, listener: socket.socket, factory: Any) -> IListeningPort:
    """
    Serve a protocol at an inherited socket.

    Args:
        listener: the socket; the reactor has its own descriptor for it from now on.
        factory: makes the protocols.
    """
    with listener:
        return reactor.adoptStreamPort(listener.fileno(), listener.family, factory)
