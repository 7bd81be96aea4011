"""
The Unix socket of a server: the file that clients connect to, the relay, and gRPC behind it.
"""

import asyncio
import socket
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import grpc.aio

from twisted_registry.config.network import UnixSettings
from twisted_registry.domain.errors import CannotStart
from twisted_registry.rpc.methods import Handler, Method
from twisted_registry.rpc.private_socket import PrivateSocket
from twisted_registry.rpc.sockets import Address
from twisted_registry.rpc.unix_relay import UnixRelay
from twisted_registry.rpc.unix_socket import InheritedListener, UnixListener

_DESCRIPTORS_PER_CONNECTION = 3
"""The client's, and both ends of the connection between the relay and gRPC."""


def _listener(settings: UnixSettings, inherited: socket.socket | None) -> UnixListener | InheritedListener:
    assert settings.path is not None, "there is a socket"
    return UnixListener.of(settings) if inherited is None else InheritedListener(Path(settings.path), inherited)


class UnixEndpoint:
    """
    The Unix socket of a server.
    """

    def __init__(self, settings: UnixSettings, connections_max: int, inherited: socket.socket | None = None) -> None:
        """
        Listen; connections wait until ``start``.

        Args:
            settings: the settings of the socket, with its path.
            connections_max: how many connections there may be, each with one descriptor.
            inherited: the socket, if the service manager made it.

        Raises:
            CannotStart: the socket cannot be made, or this is not Linux.
        """
        if sys.platform != "linux":
            raise CannotStart("--socket needs Linux, whose kernel says which user connects; listen on a port instead")
        self._listener = _listener(settings, inherited)
        try:
            self._private = PrivateSocket(self._private_parent())
        except BaseException:
            self._listener.close()
            raise
        self._relay = UnixRelay(
            self._listener.socket, self._private.connect, max(1, connections_max // _DESCRIPTORS_PER_CONNECTION)
        )
        self._serving: asyncio.Task[None] | None = None

    def _private_parent(self) -> Path:
        # The directory of a socket that the service manager made may be closed to this user.
        if isinstance(self._listener, InheritedListener):
            return Path(tempfile.gettempdir())
        return self._listener.path.absolute().parent

    def attach(self, server: grpc.aio.Server) -> None:
        """
        Add the private address to a server that has not started.

        Raises:
            CannotStart: it cannot be added.
        """
        try:
            server.add_insecure_port(self._private.target)
            self._private.seal()
        except (RuntimeError, OSError):
            raise CannotStart("--socket: gRPC cannot listen below /proc/self/fd; is /proc mounted?") from None

    def start(self, busy: Callable[[], Collection[str]]) -> None:
        """
        Accept connections.  Called in the event loop, once the server has started.

        Args:
            busy: returns the clients that have calls under way.
        """
        self._serving = asyncio.get_running_loop().create_task(self._relay.serve(busy))

    def leave_waiting(self) -> None:
        """
        Accept no more connections, if they can wait for the next daemon: the service manager listens on.
        """
        if isinstance(self._listener, InheritedListener) and self._serving is not None:
            self._serving.cancel()

    async def stop(self, timeout_seconds: float) -> None:
        """
        Accept no more connections, and wait for gRPC to end the others.

        Args:
            timeout_seconds: the time after which they are closed.
        """
        if self._serving is not None:
            self._serving.cancel()
        await self._relay.drain(timeout_seconds)
        self._relay.close()

    def close(self) -> None:
        """
        Remove the file of the socket, and free all descriptors.
        """
        self._listener.close()
        self._private.close()

    # For the rest of the server

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """See ``UnixRelay.intercept``."""
        return self._relay.intercept(method, handler)

    def accepted(self) -> Mapping[Address, int]:
        """See ``UnixRelay.accepted``."""
        return self._relay.accepted()

    def shut_down(self, addresses: Collection[Address]) -> set[Address]:
        """See ``UnixRelay.shut_down``."""
        return self._relay.shut_down(addresses)

    def disconnect(self, peers: Collection[str]) -> set[str]:
        """See ``UnixRelay.disconnect``."""
        return self._relay.disconnect(peers)
