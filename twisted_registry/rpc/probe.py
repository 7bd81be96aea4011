"""
Asks a registry on this machine whether it serves: what a container's health check runs::

    python -m twisted_registry.rpc.probe

It finds the registry as the registry was told where to listen, by environment variables, or by the argument HOST:PORT.
It prints one line, and exits with 0 where the registry serves and with 1 where it does not.

``twisted-registry health`` does the same, and is the one to use: ``python -m`` looks for modules in the working
directory first, and runs a file of its own choice from there, such as ``runpy.py``, unless ``PYTHONSAFEPATH`` is set.
"""

import os
import sys
from collections.abc import Mapping, Sequence

if __name__ == "__main__" and not sys.flags.safe_path:
    # The working directory, where a registry's archive may lie.  What was imported so far came from it, or did not.
    del sys.path[0]

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from twisted_registry.daemon.kinds import local_address

_TIMEOUT_SECONDS = 5.0


def probe(target: str) -> str:
    """
    Ask once.

    Returns:
        SERVING, or what it is instead.
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

    Returns:
        the exit status.
    """
    target = arguments[0] if arguments else local_address(environ)
    health = probe(target)
    print(f"{target}: {health}")
    return 0 if health == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
