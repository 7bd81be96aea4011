"""
The group of commands for access tokens.
"""

import click

from twisted_registry.cli.lazy_group import LazyGroup

_PACKAGE = "twisted_registry.cli.commands"

_COMMANDS = {
    "create": (f"{_PACKAGE}.token_create:create", "Create a token, and print it once."),
    "ls": (f"{_PACKAGE}.token_ls:ls", "List the tokens, without their secrets."),
    "revoke": (f"{_PACKAGE}.token_revoke:revoke", "Revoke tokens."),
    "rotate": (f"{_PACKAGE}.token_rotate:rotate", "Replace a token by a new one with the same permissions."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def token() -> None:
    """Create, list and revoke access tokens, in the file that the daemon reads (--tokens-file)."""
