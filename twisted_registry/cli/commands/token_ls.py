"""
The command that lists access tokens.
"""

import time
from pathlib import Path

import click

from twisted_registry.access.tokens.file import TOKEN_FILE, TokenRecord, parse_tokens
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_error
from twisted_registry.cli.output import json_option, print_object, print_table
from twisted_registry.cli.tokens import times_of, token_object, with_tokens_file

_HELP = """List the tokens in the file, without their secrets.

\b
Example:
  twisted-registry token ls --file /etc/twisted-registry/tokens
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@json_option
@with_tokens_file
def ls(path: Path, as_json: bool) -> None:
    """
    Run the command.
    """
    with exit_on_error():
        records = parse_tokens(TOKEN_FILE.read(path))
    if as_json:
        for record in records:
            print_object(token_object(record))
    else:
        print_table(("ID", "NAME", "ROLE", "MODELS", "CREATED", "EXPIRES"), map(_cells, records))


def _cells(record: TokenRecord) -> tuple[str, ...]:
    created, ends = times_of(record)
    has_ended = record.expires_seconds is not None and record.expires_seconds <= time.time()
    models = ", ".join(record.models)
    return record.id, record.name, record.role, models, created, "expired" if has_ended else ends
