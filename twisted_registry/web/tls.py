"""
TLS of the HTTP port, by Twisted: TLS 1.2 and newer.

The certificates can be replaced while the server runs.  A connection keeps those with which it began.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator, IProtocolFactory, IReactorTime
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, TLSVersion
from twisted.logger import Logger
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from zope.interface import implementer

_log = Logger()

_HOST_MAX = 100
_ALL_MAX = 300
_LOG_SECONDS = 60.0

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_HANDSHAKE = b"\x16"
"""The first byte of each handshake."""

_PLAIN_TEXT = b"this port speaks HTTPS: ask for https://\n"
_PLAIN_REPLY = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%s" % (len(_PLAIN_TEXT), _PLAIN_TEXT)
)


class UnusableCertificate(Exception):
    """
    A certificate that OpenSSL cannot use.
    """


@implementer(IOpenSSLServerConnectionCreator)
class ServerContext:
    """
    The certificates in force, for connections that begin.

    Attributes:
        names: the names in the server's certificate.
    """

    def __init__(self) -> None:
        self.names: Sequence[str] = ()
        self._context: Any = None

    def use(self, chain: bytes, key: bytes, client_ca: bytes | None, names: Sequence[str]) -> None:
        """
        Use certificates for connections from now on.  May be called in any thread.

        Args:
            chain: PEM of the server's certificate and of those that lead to a root.
            key: PEM of its private key.
            client_ca: PEM of the authorities whose client certificates are accepted; ``None`` for none.
            names: the names in the certificate.

        Raises:
            UnusableCertificate: OpenSSL refuses them; those in force before stay so.
        """
        try:
            leaf, *others = _loaded(chain)
            authorities = [] if client_ca is None else _loaded(client_ca)
            # Clients need no certificate here: probes have none, and calls without one are refused later.
            self._context = CertificateOptions(
                privateKey=KeyPair.load(key, crypto.FILETYPE_PEM).original,
                certificate=leaf,
                extraCertChain=others,
                raiseMinimumTo=TLSVersion.TLSv1_2,
                acceptableProtocols=[b"http/1.1"],
                verify=bool(authorities),
                requireCertificate=False,
                caCerts=authorities or None,
            ).getContext()
        except (SSL.Error, crypto.Error) as error:
            raise UnusableCertificate(f"OpenSSL cannot use the certificate for --http-port: {error}") from None
        self.names = names

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Any:  # noqa: N802, N803
        """See ``IOpenSSLServerConnectionCreator``."""
        return SSL.Connection(self._context, None)


class HandshakeLimit:
    """
    The limit on connections that begin in a second: a handshake takes about a millisecond of the reactor.
    """

    def __init__(self, clock: IReactorTime, host_max: int = _HOST_MAX, all_max: int = _ALL_MAX) -> None:
        """

        Args:
            clock: the clock.
            host_max: the most from one address.
            all_max: the most from all.
        """
        self._clock = clock
        self._host_max = host_max
        self._all_max = all_max
        self._second = 0
        self._begun: Counter[str] = Counter()
        self._quiet_until = 0.0

    def permit(self, host: str) -> bool:
        """
        Count a connection, and return whether it may begin.
        """
        now = self._clock.seconds()
        if int(now) != self._second:
            self._second = int(now)
            self._begun.clear()
        if self._begun[host] < self._host_max and self._begun.total() < self._all_max:
            self._begun[host] += 1
            return True
        if now >= self._quiet_until:
            self._quiet_until = now + _LOG_SECONDS
            _log.warn("too many HTTPS connections begin in a second, such as from {host}; some are closed", host=host)
        return False


class TlsFactory(TLSMemoryBIOFactory):
    """
    Connections with TLS to a site.
    """

    noisy = False

    def __init__(self, context: ServerContext, site: IProtocolFactory, clock: Any, limit: HandshakeLimit) -> None:
        """

        Args:
            context: the certificates.
            site: the site.
            clock: the reactor.
            limit: the limit on connections that begin.
        """
        super().__init__(context, False, site, clock)
        self._limit = limit

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: N802
        """
        Return the protocol of a new connection; ``None`` if there are too many.
        """
        if not self._limit.permit(getattr(addr, "host", "")):
            return None
        site_protocol = self.wrappedFactory.buildProtocol(addr)
        return None if site_protocol is None else _TlsConnection(self, site_protocol)


class _TlsConnection(BufferingTLSTransport):
    """
    A connection that explains itself to clients that do not speak TLS.
    """

    _has_begun = False

    def dataReceived(self, data: bytes) -> None:
        """
        Take data from the client.
        """
        if not self._has_begun and not data.startswith(_HANDSHAKE):
            assert self.transport is not None, "data comes on a connection"
            self.transport.write(_PLAIN_REPLY)
            self.transport.loseConnection()
            return
        self._has_begun = True
        super().dataReceived(data)


def peer_certificate(transport: Any) -> bytes:
    """
    Return the client's certificate on a connection with TLS, in PEM, which was verified; empty if there is none.
    """
    found = transport.getPeerCertificate()
    return b"" if found is None else bytes(Certificate(found).dumpPEM())


def _loaded(pem: bytes) -> list[Any]:
    return [Certificate.loadPEM(each).original for each in _CERTIFICATE.findall(pem)]
