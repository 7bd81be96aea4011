"""
The command that revokes access tokens.
"""

from pathlib import Path

import click

from twisted_registry.access.tokens.file import editing_tokens
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_error
from twisted_registry.cli.output import json_option, print_line, print_object
from twisted_registry.cli.tokens import named_tokens, token_object, with_tokens_file

_HELP = """Revoke the tokens with an id, or all tokens of a name.

They are removed from the file. The daemon reads it again within a few seconds, and ends the calls of those tokens.

\b
Examples:
  twisted-registry token revoke 8fJ2kQmZ0a --file tokens
  twisted-registry token revoke trainer --file tokens
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("names", metavar="ID|NAME...", nargs=-1, required=True)
@json_option
@with_tokens_file
def revoke(path: Path, names: tuple[str, ...], as_json: bool) -> None:
    """
    Run the command.
    """
    with exit_on_error():
        with editing_tokens(path) as records:
            revoked = named_tokens(records, names)
            records[:] = [record for record in records if record not in revoked]
        for record in revoked:
            if as_json:
                print_object(token_object(record))
            else:
                print_line(f"revoked {record.id} of {record.name}")
