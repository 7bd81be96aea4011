"""
TLS of the HTTP port, by Twisted: TLS 1.2 and newer.

The certificates can be replaced while the server runs.  A connection keeps those with which it began.
"""

import re
from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, TLSVersion
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from zope.interface import implementer

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


class TlsFactory(TLSMemoryBIOFactory):
    """
    Connections with TLS to a site.
    """

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: N802
        """
        Return the protocol of a new connection; ``None`` if the site accepts no more.
        """
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
