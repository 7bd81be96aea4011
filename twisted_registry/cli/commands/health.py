"""
The command that a container's health check runs.
"""

import os
import sys

import click

from twisted_registry.cli.errors import ExitStatus, exit_on_error
from twisted_registry.cli.server import Address, Seconds, Server
from twisted_registry.daemon.kinds import local_address

_HELP = """Ask the daemon on this machine whether it is serving: for health checks.

It finds the daemon as the daemon itself is told where to listen, by COGMENT_MODEL_REGISTRY_PORT and
COGMENT_MODEL_REGISTRY_INTERFACE, unless --server says where. It asks once, and prints a line.

\b
Examples:
  twisted-registry health
  twisted-registry health --server 127.0.0.1:9001 --deadline 1
"""

_EXITS = """\b
Exit status:
  0  it is serving
  1  it answers, but is not serving: it starts, or stops
  2  wrong usage
  3  it cannot be reached, or is too slow
"""


@click.command(help=_HELP, short_help="Ask the daemon on this machine whether it is serving.", epilog=_EXITS)
@click.option("--server", type=Address(), metavar="HOST:PORT", help="Where the daemon is.")
@click.option(
    "--deadline",
    type=Seconds(min=0, min_open=True),
    metavar="SECONDS",
    default=5.0,
    show_default=True,
    help="How long it may take to answer.",
)
@click.option(
    "--tls-ca",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Connect by TLS, and trust whom the certificates in this PEM file have signed.",
)
def health(server: str | None, deadline: float, tls_ca: str | None) -> None:
    """
    Run the command.
    """
    address = server or local_address(os.environ)
    with exit_on_error():
        with Server(address, retry_seconds=0, tls_ca=tls_ca).client(deadline_seconds=deadline) as client:
            serving = client.is_serving()
        click.echo(f"{address}: {'serving' if serving else 'not serving'}")
    if not serving:
        sys.exit(ExitStatus.REFUSED)
