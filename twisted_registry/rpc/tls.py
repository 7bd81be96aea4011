"""
TLS of the gRPC server, by gRPC's own implementation: TLS 1.2 and newer.

The certificates can be replaced while the server runs.  A connection keeps those with which it began, so connections
have a highest age.
"""

from collections.abc import Callable
from typing import Any, cast

import grpc
from attrs import field, frozen

from twisted_registry.rpc.call import CallContext

MOST_CONNECTION_SECONDS = 3600.0
"""After about so long, gRPC asks a client to open another connection.  Calls under way go on."""


@frozen
class _Certificates:
    """
    The certificates in force.

    Attributes:
        generation: counts their changes.
    """

    generation: int
    key: bytes = field(repr=False)
    chain: bytes
    client_ca: bytes | None


class ServerTls:
    """
    The certificates of a server.

    Attributes:
        client_port: a second port where clients need a certificate; ``None`` if they need one everywhere or nowhere.
        connecting: called when a handshake begins, in any thread.
    """

    def __init__(self, client_port: int | None = None) -> None:
        self.client_port = client_port
        self.connecting: Callable[[], None] = lambda: None
        self._certificates: _Certificates | None = None
        self._expires_seconds: float | None = None

    def expires_seconds(self) -> float | None:
        """
        Return when the server's certificate expires, in seconds since the Unix epoch; ``None`` if that is not known.
        """
        return self._expires_seconds

    @property
    def asks_clients(self) -> bool:
        """
        True if some clients have certificates.
        """
        return self._current.client_ca is not None

    @property
    def _current(self) -> _Certificates:
        assert self._certificates is not None, "certificates are loaded before the server starts"
        return self._certificates

    def use(self, chain: bytes, key: bytes, client_ca: bytes | None, expires_seconds: float | None = None) -> None:
        """
        Use certificates for connections from now on.  May be called in any thread.

        Args:
            chain: PEM of the server's certificate and of those that lead to a root.
            key: PEM of its private key.
            client_ca: PEM of the authorities whose client certificates are accepted; ``None`` for none.
            expires_seconds: when the server's certificate expires, in seconds since the Unix epoch; ``None`` if that is
                not known.
        """
        self._expires_seconds = expires_seconds
        before = self._certificates
        self._certificates = _Certificates(0 if before is None else before.generation + 1, key, chain, client_ca)

    def credentials(self, *, at_client_port: bool) -> grpc.ServerCredentials:
        """
        Return the credentials of a port.

        Args:
            at_client_port: whether it is the second port.
        """
        requires_certificate = self.asks_clients and (at_client_port or self.client_port is None)
        delivered = self._current

        def fetch() -> Any:  # gRPC calls it at each new connection
            nonlocal delivered
            self.connecting()
            current = self._current
            if current.generation == delivered.generation:
                return None
            delivered = current
            return _configuration(current, requires_certificate)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(delivered, requires_certificate), fetch, requires_certificate
        )


def _configuration(certificates: _Certificates, requires_certificate: bool) -> Any:
    roots = certificates.client_ca if requires_certificate else None
    return grpc.ssl_server_certificate_configuration([(certificates.key, certificates.chain)], roots)


def client_certificate(
    end_of: Callable[[bytes], float | None],
) -> Callable[[CallContext], tuple[tuple[str, ...], float | None]]:
    """
    Return a function that returns the names in the client certificate of a call's connection, and when it expires.

    Args:
        end_of: returns when a certificate in PEM expires, in seconds since the Unix epoch.
    """

    def find(call: CallContext) -> tuple[tuple[str, ...], float | None]:
        facts = cast(dict[str, list[bytes]], call.connection_facts())
        encoded = [*facts.get("peer_spiffe_id", ()), *facts.get("peer_dns", ())]
        names = tuple(dict.fromkeys(name.decode("utf-8", "backslashreplace") for name in encoded))
        pem = facts.get("x509_pem_cert")
        return (names, end_of(pem[0])) if pem else ((), None)

    return find
