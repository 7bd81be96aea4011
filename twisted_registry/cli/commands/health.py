"""
The command that a container's health check runs.
"""

import os
import sys
import tomllib
from collections.abc import Mapping
from typing import Any

import click

from twisted_registry.cli.errors import ExitStatus, exit_on_error, fail
from twisted_registry.cli.server import Address, Seconds, Server
from twisted_registry.domain.errors import RegistryError

_HELP = """Check whether the daemon on this machine is serving, for health checks.

The daemon's address is taken from its own variables, COGMENT_MODEL_REGISTRY_INTERFACE and
COGMENT_MODEL_REGISTRY_HEALTH_PORT, or else COGMENT_MODEL_REGISTRY_PORT, or from the file in
COGMENT_MODEL_REGISTRY_CONFIG, unless --server is given. If the daemon has no port, the command uses its socket,
COGMENT_MODEL_REGISTRY_SOCKET. The command asks once, and prints one line.

\b
Examples:
  twisted-registry health
  twisted-registry health --server 127.0.0.1:9001 --deadline 1
  twisted-registry health --writes
"""

_TRUE = ("1", "true", "yes", "on")

_EXIT_STATUS_HELP = """\b
Exit status:
  0  the daemon is serving
  1  the daemon answers, but is not serving: it is starting or stopping, or
     its archive cannot be used, or with --writes not written
  2  wrong usage
  3  the daemon cannot be reached, or is too slow
"""


@click.command(help=_HELP, epilog=_EXIT_STATUS_HELP)
@click.option("--server", type=Address(), metavar="HOST:PORT", help="Address of the daemon.")
@click.option(
    "--deadline",
    type=Seconds(min=0, min_open=True),
    metavar="SECONDS",
    default=5.0,
    show_default=True,
    help="How long to wait for an answer.",
)
@click.option(
    "--tls-ca",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Connect with TLS, and trust the certificate authorities in this PEM file.",
)
@click.option("--writes", is_flag=True, help="Check whether versions can be stored; older daemons do not know.")
def health(server: str | None, deadline: float, tls_ca: str | None, writes: bool) -> None:
    """
    Run the command.
    """
    address = server or local_address(os.environ)
    with exit_on_error():
        serving = _is_serving(Server(address, tls_ca=tls_ca), deadline, writes)
        click.echo(f"{address}: {'serving' if serving else 'not serving'}{' writes' if writes else ''}")
    if not serving:
        sys.exit(ExitStatus.FAILED)


def _is_serving(server: Server, deadline: float, of_writes: bool) -> bool:
    try:
        return server.check_health(deadline, of_writes=of_writes)
    except RegistryError as error:
        from twisted_registry.client.errors import Unreachable

        if not isinstance(error, Unreachable):
            raise
        # Not the client's variable, as other commands advise.
        fail(
            f"{error} --server, COGMENT_MODEL_REGISTRY_PORT and COGMENT_MODEL_REGISTRY_INTERFACE set its address",
            ExitStatus.UNREACHABLE,
        )


def local_address(environ: Mapping[str, str]) -> str:
    """
    Return the address of the daemon that runs on this machine with these environment variables: its Unix socket if it
    has no port.

    Raises:
        click.UsageError: the configuration file that they name is not valid.
    """
    config_file = environ.get("COGMENT_MODEL_REGISTRY_CONFIG", "")
    network, unix = _table(config_file, "network"), _table(config_file, "unix")
    interface = environ.get("COGMENT_MODEL_REGISTRY_INTERFACE") or str(network.get("interface", "127.0.0.1"))
    health_port = environ.get("COGMENT_MODEL_REGISTRY_HEALTH_PORT") or network.get("health-port")
    path = environ.get("COGMENT_MODEL_REGISTRY_SOCKET") or unix.get("socket")
    is_alone = environ.get("COGMENT_MODEL_REGISTRY_SOCKET_ONLY") or str(unix.get("socket-only", ""))
    if path and not health_port and is_alone.lower() in _TRUE:
        return f"unix:{str(path).removeprefix('unix:')}"
    port = health_port or environ.get("COGMENT_MODEL_REGISTRY_PORT") or network.get("port", 9000)
    if interface in ("0.0.0.0", "::", "[::]"):
        interface = "127.0.0.1"
    if ":" in interface and not interface.startswith("["):
        interface = f"[{interface}]"
    return f"{interface}:{port}"


def _table(config_file: str, name: str) -> Mapping[str, Any]:
    if not config_file:
        return {}
    try:
        with open(config_file, "rb") as file:
            table = tomllib.load(file).get(name, {})
    except (OSError, ValueError) as error:
        raise click.UsageError(f"the configuration file cannot be read: {error}") from None
    return table if isinstance(table, dict) else {}
