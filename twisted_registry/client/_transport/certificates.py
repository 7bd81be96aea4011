"""
Which of a registry's addresses shows a certificate that is not accepted.

Where connecting fails at several addresses, gRPC tells of one of them alone: that one refused the connection, say, and
not that another has shown the wrong certificate.
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
    Connect to each address, and look at its certificate.  Blocks.

    Args:
        server_name: the name to expect in it; ``None`` for that of the host.

    Returns:
        what is wrong with the first that is not accepted, and where; ``None`` where there is none.
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
        return None  # gRPC says what else is wrong
