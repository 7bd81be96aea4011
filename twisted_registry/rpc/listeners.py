"""
The ports and the Unix socket of a server, and the connections that were accepted there.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import grpc.aio
from attrs import evolve

from twisted_registry.config.network import bracketed
from twisted_registry.domain.errors import CannotStart
from twisted_registry.rpc.endpoint import addresses_of
from twisted_registry.rpc.options import ServerOptions
from twisted_registry.rpc.sockets import Address, accepted_on, disconnect, shut_down
from twisted_registry.rpc.unix_endpoint import UnixEndpoint


class Listeners:
    """
    The ports and the socket of one server.

    Attributes:
        addresses: the addresses of the interface.
        unix: the Unix socket; ``None`` if there is none.
        port: the main port, once it is bound; 0 if there is only the Unix socket.
        health_port: the port that serves only health checks, once it is bound; ``None`` if there is none.
    """

    def __init__(self, options: ServerOptions) -> None:
        """
        Find the addresses, and listen on the Unix socket, where connections wait.  This blocks.

        Raises:
            CannotStart: the port or the socket cannot be bound.
        """
        self._options = options
        self.port = 0
        self.health_port: int | None = None
        self._ports: frozenset[int] = frozenset()
        self.addresses = self._find_addresses()
        self.unix: UnixEndpoint | None = None
        if options.unix.path is not None:
            limit = options.clients.connections_max // self.count
            self.unix = UnixEndpoint(options.unix, limit, options.unix_socket)

    def _find_addresses(self) -> Sequence[str]:
        network = self._options.network
        if not self._options.unix.is_alone:
            return addresses_of(network)
        return () if network.health_port is None else addresses_of(evolve(network, port=network.health_port))

    @property
    def count(self) -> int:
        """
        How many there are, without that for health: gRPC counts connections for each.
        """
        unix, tls = self._options.unix, self._options.tls
        ports = (not unix.is_alone) + (tls is not None and tls.client_port is not None)
        return ports * len(self.addresses) + (unix.path is not None)

    async def bind(self, server: grpc.aio.Server, health: grpc.aio.Server | None) -> None:
        """
        Bind the ports, and start the servers.

        Args:
            server: serves calls.
            health: serves health checks alone; ``None`` if there is no port for them.

        Raises:
            CannotStart: a port cannot be bound.
        """
        tls, network = self._options.tls, self._options.network
        if not self._options.unix.is_alone:
            self.port = self._listen(server, network.port, self._credentials(at_client_port=False))
        if self.unix is not None:
            self.unix.attach(server)
        if tls is not None and tls.client_port is not None:
            tls.client_port = self._listen(server, tls.client_port, self._credentials(at_client_port=True))
        if health is not None and network.health_port is not None:
            self.health_port = self._listen(health, network.health_port, lambda: None)
            await health.start()
        await server.start()
        client_port = None if tls is None else tls.client_port
        self._ports = frozenset(each for each in (self.port, client_port, self.health_port) if each)

    def _credentials(self, *, at_client_port: bool) -> Callable[[], Any]:
        tls = self._options.tls
        return lambda: None if tls is None else tls.credentials(at_client_port=at_client_port)

    def _listen(self, server: grpc.aio.Server, port: int, make_credentials: Callable[[], Any]) -> int:
        for address in self.addresses:
            where = f"{bracketed(address)}:{port}"
            try:
                # Each address needs its own: gRPC asks each once for the first certificate.
                credentials = make_credentials()
                if credentials is None:
                    port = server.add_insecure_port(where)
                else:
                    port = server.add_secure_port(where, credentials)
            except RuntimeError:
                raise CannotStart(f"cannot listen on {where}: another program has just taken it") from None
        return port

    # Connections

    def accepted(self) -> Mapping[Address, int]:
        """
        Return the connected clients, with the number of bytes each has sent.
        """
        found = accepted_on(self._ports)
        return found if self.unix is None else {**found, **self.unix.accepted()}

    def shut_down(self, addresses: Collection[Address]) -> Collection[Address]:
        """
        Close connections, and return those that existed.
        """
        found = shut_down(addresses)
        return found if self.unix is None else found | self.unix.shut_down(addresses)

    def disconnect(self, peers: Collection[str]) -> set[str]:
        """
        Close the connections with peers, as gRPC names them, and return those that existed.
        """
        found = disconnect(peers)
        return found if self.unix is None else found | self.unix.disconnect(peers)

    def close(self) -> None:
        """
        Remove the file of the Unix socket.
        """
        if self.unix is not None:
            self.unix.close()
