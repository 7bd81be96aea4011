"""
A health check for short-lived processes: it loads a fraction of the modules of a client.
"""

from typing import Any

import grpc

from twisted_registry.client._transport.options import Options

_METHOD = "/grpc.health.v1.Health/Check"

SERVICE = "cogmentAPI.ModelRegistrySP"

WRITES = "twisted_registry.writes"
"""The name under which the health service reports whether versions can be stored."""

_SERVING = b"\x08\x01"
"""The beginning of a ``HealthCheckResponse`` with the status ``SERVING``."""


def check_health(options: Options, service: str = SERVICE) -> bool:
    """
    Return whether the registry's health service reports that it is serving.  Ask once.

    Args:
        options: the address, certificates and deadline.
        service: the name to ask about, of at most 127 bytes.

    Raises:
        Unreachable: there is no connection.
        DeadlineExceeded: there was no answer within ``deadline_seconds``.
        RegistryError: the call failed otherwise.
    """
    # A HealthCheckRequest, as protobuf encodes it.
    request = b"\n" + bytes([len(service)]) + service.encode()
    with _channel(options) as channel:
        try:
            call: Any = channel.unary_unary(_METHOD, None, None)
            reply: bytes = call(request, timeout=options.deadline_seconds)
        except grpc.RpcError as failed:
            raise _translated(failed, options) from None
    return reply.startswith(_SERVING)


def _channel(options: Options) -> grpc.Channel:
    address, tls = options.parsed, options.tls
    # The proxy in the environment variables is meant for other machines.
    arguments: list[tuple[str, Any]] = [("grpc.enable_http_proxy", 0)] if address.is_loopback else []
    if tls is None:
        return grpc.insecure_channel(address.target, arguments)
    if tls.server_name is not None:
        arguments.append(("grpc.ssl_target_name_override", tls.server_name))
    credentials = grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)
    return grpc.secure_channel(address.target, credentials, arguments)


def _translated(failed: Any, options: Options) -> Exception:
    # Imported late: a check that succeeds does not need them.
    from twisted_registry.client._transport.diagnosis import diagnose
    from twisted_registry.client._transport.status import error_of
    from twisted_registry.client.errors import Unreachable

    error = error_of(failed, options.address, "", None)
    return diagnose(error, options) if isinstance(error, Unreachable) else error
