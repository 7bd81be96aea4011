"""
The search for the host of a registry whose certificate is refused.

If connecting fails at several hosts, gRPC reports one of them: that one refused the connection, for example, and not
that another presented the wrong certificate.
"""

import socket
import ssl
from collections.abc import Iterable

_TIMEOUT_SECONDS = 2.0
_MOST_ADDRESSES = 8


def refused_certificate(
    hosts: Iterable[tuple[str, int]], root_certificates: bytes, server_name: str | None
) -> str | None:
    """
    Connect to each host, and verify its certificate.  This blocks.

    Args:
        hosts: names and ports.
        root_certificates: PEM of the certificates to trust.
        server_name: the name to expect in the certificates; ``None`` for the name of each host.

    Returns:
        What is wrong with the first refused certificate, and at which IP address; ``None`` if there is none.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(["h2"])
        context.load_verify_locations(cadata=root_certificates.decode())
        addresses = [
            (str(where[0]), port, server_name or host)
            for host, port in hosts
            for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        ]
    except (OSError, ValueError):
        return None
    reasons = (_refused_at(context, *address) for address in addresses[:_MOST_ADDRESSES])
    return next((reason for reason in reasons if reason is not None), None)


def _refused_at(context: ssl.SSLContext, ip: str, port: int, name: str) -> str | None:
    try:
        with (
            socket.create_connection((ip, port), timeout=_TIMEOUT_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=name),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return f"{ip}: {error.verify_message}"
    except OSError:
        return None  # gRPC reports other problems
