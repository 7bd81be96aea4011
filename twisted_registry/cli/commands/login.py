"""
The command that keeps an access token for a registry.
"""

import os
import sys
from contextlib import suppress
from typing import NoReturn

import click
from attrs import evolve
from click.core import ParameterSource

from twisted_registry.cli.caller import CallerFacts, ask_for_caller
from twisted_registry.cli.errors import EXIT_STATUS_HELP, fail, report
from twisted_registry.cli.server import TOKEN_VARIABLE, Address, Server, with_server
from twisted_registry.cli.text import harmless

_HELP = """Keep an access token for the registry at HOST:PORT.

The command asks for the token, and checks it with a call to the registry. From then on, commands that call this address
send it, unless TWISTED_REGISTRY_TOKEN or --token-file is given. It is sent to no other address. The token is kept in
the keyring of the desktop, if there is one and 'twisted-registry[keyring]' is installed, or else in the file
~/.config/twisted-registry/tokens.json, which only you may read.

\b
Examples:
  twisted-registry login models.example.com:9000 --tls
  twisted-registry login --token-file trainer.token
  pass show registry | twisted-registry login --token-stdin
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("address", type=Address(), metavar="[HOST:PORT]", required=False)
@click.option("--token-stdin", is_flag=True, help="Read the token from stdin, instead of asking for it.")
@click.option("--no-keyring", is_flag=True, help="Keep the token in the file, even if there is a keyring.")
@with_server
def login(server: Server, address: str | None, token_stdin: bool, no_keyring: bool) -> None:
    """
    Run the command.
    """
    from twisted_registry.client._transport.keyrings import usable_keyring
    from twisted_registry.client._transport.saved_tokens import SavedTokens

    server = evolve(server, address=address or server.address)
    token = _given_token(server, token_stdin)
    caller = _caller(server, token)
    tokens = SavedTokens()
    in_keyring = not no_keyring and usable_keyring() is not None
    tokens.save(server.address, token, in_keyring=in_keyring)
    place = "in the keyring" if in_keyring else f"in {harmless(str(tokens.path))}"
    if caller.is_anyone:
        report(f"the registry at {server.address} has no access control, so it does not look at tokens")
        click.echo(f"the token is kept {place}")
    elif caller.name:
        click.echo(f"the registry at {server.address} knows you as {caller}; the token is kept {place}")
    else:
        click.echo(f"the registry at {server.address} accepts the token, which is kept {place}")


def _given_token(server: Server, from_stdin: bool) -> str:
    """
    Return the token to keep.

    Raises:
        click.UsageError: there is none, or it is not one.
        OSError: its file cannot be read.
    """
    from twisted_registry.client._transport.tokens import TokenFile, token_problem

    _check_environment()
    if isinstance(server.token, TokenFile):
        if from_stdin:
            raise click.UsageError("--token-stdin and --token-file cannot be combined; pass one of them")
        token = server.token()
    elif from_stdin:
        token = sys.stdin.buffer.read().decode("ascii", "replace").strip()
    elif sys.stdin is not None and sys.stdin.isatty():
        token = str(click.prompt(f"Token for {server.address} (not shown)", hide_input=True, err=True)).strip()
    else:
        raise click.UsageError("stdin is not a terminal, so the command cannot ask for the token: pass --token-stdin")
    if problem := token_problem(token):
        raise click.UsageError("there is no token" if not token else problem)
    return token


def _check_environment() -> None:
    from_environment = click.get_current_context().get_parameter_source("token_file") is ParameterSource.ENVIRONMENT
    name = "TWISTED_REGISTRY_TOKEN_FILE" if from_environment else TOKEN_VARIABLE
    if os.environ.get(name):
        raise click.UsageError(f"{name} is set, and commands would go on using its token: unset it first")


def _caller(server: Server, token: str) -> CallerFacts:
    """
    Check a token with a call.

    Returns:
        who its owner is for the registry; nobody, if the registry does not say it to this caller.
    """
    from twisted_registry.client.errors import NotAuthenticated, NotPermitted

    with evolve(server, token=token).client() as client:
        try:
            client.server_versions()
            with suppress(NotPermitted):
                return ask_for_caller(client)
        except (NotAuthenticated, NotPermitted) as error:
            _refuse(server, error.reason)
    return CallerFacts()


def _refuse(server: Server, reason: str) -> NoReturn:
    fail(f"the registry at {server.address} does not accept the token ({reason}); it was not kept")
