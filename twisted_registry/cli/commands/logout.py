"""
The command that forgets the access token for a registry.
"""

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_error, fail
from twisted_registry.cli.server import DEFAULT_ADDRESS, Address
from twisted_registry.cli.text import harmless

_HELP = """Forget the access token that 'twisted-registry login' keeps for the registry at HOST:PORT.

The token itself remains valid: 'twisted-registry token revoke', on the machine of the registry, ends it.

\b
Examples:
  twisted-registry logout models.example.com:9000
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument(
    "address", type=Address(), metavar="[HOST:PORT]", envvar="TWISTED_REGISTRY_SERVER", default=DEFAULT_ADDRESS
)
def logout(address: str) -> None:
    """
    Run the command.
    """
    from twisted_registry.client._transport.saved_tokens import SavedTokens

    with exit_on_error():
        tokens = SavedTokens()
        if tokens.remove(address):
            click.echo(f"the token for {address} is forgotten")
            return
        kept = ", ".join(map(harmless, tokens.keys()))
        fail(f"no token is kept for {address}" + (f"; there are tokens for {kept}" if kept else ""))
