"""
Asks a registry on this machine whether it serves: what a container's health check runs::

    python -m twisted_registry.rpc.probe

It finds the registry as the registry was told where to listen, by environment variables, or by the argument HOST:PORT.
It prints one line, and exits with 0 where the registry serves and with 1 where it does not.
"""

import os
import sys
from collections.abc import Mapping, Sequence

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

_TIMEOUT_SECONDS = 5.0
_PORT_VARIABLE = "COGMENT_MODEL_REGISTRY_PORT"
_INTERFACE_VARIABLE = "COGMENT_MODEL_REGISTRY_INTERFACE"

_LOOPBACK = "127.0.0.1"
_ALL_INTERFACES = ("0.0.0.0", "::", "[::]")


def target_from(environ: Mapping[str, str]) -> str:
    """
    Give the address at which a registry with this environment is reached.
    """
    interface = environ.get(_INTERFACE_VARIABLE) or _LOOPBACK
    if interface in _ALL_INTERFACES:
        interface = _LOOPBACK
    if ":" in interface and not interface.startswith("["):
        interface = f"[{interface}]"
    return f"{interface}:{environ.get(_PORT_VARIABLE) or 9000}"


def probe(target: str) -> str:
    """
    Ask once.

    @return: SERVING, or what it is instead.
    """
    # A proxy that the environment names is for other machines.
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            reply = HealthStub(channel).Check(HealthCheckRequest(), timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return f"{error.code().name} ({error.details()})"
    return str(HealthCheckResponse.ServingStatus.Name(reply.status))


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """
    Ask, and say what came of it.

    @return: the exit status.
    """
    target = arguments[0] if arguments else target_from(environ)
    health = probe(target)
    print(f"{target}: {health}")
    return 0 if health == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
