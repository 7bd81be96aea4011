"""
The diagnosis of a connection that could not be made with TLS.

gRPC reports one of several hosts, perhaps not the one whose certificate is wrong.  It does not report for which names a
certificate is, nor whether a server that disconnects expects TLS or a client certificate.  A connection by Python's own
TLS finds that out.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from twisted_registry.client._transport.options import Options, Tls
from twisted_registry.client._transport.status import EXPECT_NAME, RENEW, TRUST, has_other_name, was_disconnected
from twisted_registry.client.errors import CertificateRefused, ClientCertificateRefused, TlsFailed, Unreachable

_TIMEOUT_SECONDS = 2.0
_MOST_ADDRESSES = 8
_MOST_NAMES = 10

_OTHER_NAME_CODES = (62, 64)
"""OpenSSL's codes for a certificate that is for another host name, or for another IP address."""

_OTHER_TIME_CODES = (9, 10)
"""OpenSSL's codes for a certificate that is not valid yet, or has expired."""

_NEEDS_TLS = (
    "it speaks TLS, and the client does not; pass the certificate of the authority that signed the server's "
    "(tls=Tls(root_certificates=...); in a shell --tls-ca FILE, or --tls for the public authorities)"
)
_NEEDS_CERTIFICATE = (
    "probably because it requires a client certificate; pass one (Tls(certificate_chain=..., private_key=...), "
    "--tls-cert and --tls-key)"
)
_CERTIFICATE_REFUSED = (
    "probably because it does not accept the client's certificate; check that the certificate is still valid, and that "
    "its authority is one of those that the server trusts"
)


def may_be_diagnosed(error: Unreachable, tls: Tls | None) -> bool:
    """
    Return whether more can be found out about a failed connection.

    Args:
        error: the error that follows from gRPC's text.
        tls: the client's certificates; ``None`` without TLS.
    """
    if tls is None:
        return type(error) is Unreachable and was_disconnected(error.reason)
    return type(error) is Unreachable or (isinstance(error, CertificateRefused) and has_other_name(error.reason))


def diagnose(error: Unreachable, options: Options) -> Unreachable:
    """
    Return the error that describes a failed connection best: the given one, if nothing more is found out.  This
    connects to the hosts of the address, and blocks for some seconds at most.

    Args:
        error: the error that follows from gRPC's text.
        options: the address, and how the client connects to it.
    """
    if not may_be_diagnosed(error, options.tls):
        return error
    try:
        found = (_diagnosed_at(host, error, options) for host in _hosts(options))
        return next((each for each in found if each is not None), error)
    except (OSError, ValueError):
        return error


@frozen
class _Host:
    """
    A host of an address.

    Attributes:
        ip: its IP address.
        port: its port.
        name: the name to expect in its certificate.
    """

    ip: str
    port: int
    name: str

    def connect(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """
        Connect, and return the connection after the handshake.

        Raises:
            OSError: that failed.
        """
        connection = socket.create_connection((self.ip, self.port), timeout=_TIMEOUT_SECONDS)
        try:
            return context.wrap_socket(connection, server_hostname=self.name)
        except BaseException:
            connection.close()
            raise


def _hosts(options: Options) -> Iterator[_Host]:
    expected = options.tls.server_name if options.tls is not None else None
    found = [
        _Host(str(where[0]), port, expected or host)
        for host, port in options.parsed.hosts
        for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ]
    return iter(found[:_MOST_ADDRESSES])


def _context(tls: Tls | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if tls is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.root_certificates is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=tls.root_certificates.decode())
    return context


def _diagnosed_at(host: _Host, error: Unreachable, options: Options) -> Unreachable | None:
    tls, address = options.tls, options.address
    try:
        with host.connect(_context(tls)) as connection:
            if tls is None:
                return TlsFailed(_NEEDS_TLS, address)
            if was_disconnected(error.reason) and _is_closed_by_server(connection):
                return ClientCertificateRefused(
                    _CERTIFICATE_REFUSED if tls.certificate_chain else _NEEDS_CERTIFICATE, address
                )
    except ssl.SSLCertVerificationError as refused:
        return _refused_certificate(host, refused, tls, address)
    except OSError:
        pass  # gRPC reports other problems
    return None


def _refused_certificate(
    host: _Host, refused: ssl.SSLCertVerificationError, tls: Tls | None, address: str
) -> CertificateRefused | None:
    if refused.verify_code in _OTHER_NAME_CODES:
        names = ", ".join(_names(host, tls)) or "no name at all"
        reason = f"it is for another name: for {names}, not for {host.name}"
        return CertificateRefused(f"{host.ip}: {reason}", address, EXPECT_NAME)
    reason = f"{host.ip}: {refused.verify_message}"
    if refused.verify_code in _OTHER_TIME_CODES:
        return CertificateRefused(reason, address, RENEW)
    if tls is not None and tls.root_certificates is None:
        return None  # the authorities that gRPC trusts may be others
    return CertificateRefused(reason, address, TRUST)


def _names(host: _Host, tls: Tls | None) -> list[str]:
    """
    Return the names in the certificate of a host, which is trusted apart from them.
    """
    context = _context(tls)
    context.check_hostname = False
    with host.connect(context) as connection:
        found: Any = (connection.getpeercert() or {}).get("subjectAltName", ())
    names = [str(name) for _, name in found]
    return [*names[:_MOST_NAMES], *(["..."] if len(names) > _MOST_NAMES else [])]


def _is_closed_by_server(connection: ssl.SSLSocket) -> bool:
    """
    Return whether the server disconnects, instead of beginning with HTTP/2.
    """
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
