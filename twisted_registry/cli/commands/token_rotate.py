"""
The command that replaces an access token.
"""

import time
from pathlib import Path

import click
from attrs import evolve

from twisted_registry.access.tokens.file import editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_error
from twisted_registry.cli.output import json_option
from twisted_registry.cli.retention_rules import AgeType
from twisted_registry.cli.tokens import named_tokens, print_new_token, with_tokens_file
from twisted_registry.domain.errors import InvalidRequest

_HELP = """Replace the token with an id, or the only token of a name, by a new one, and print that.

The new token has the same permissions, and is valid as long as the old one was when it was created. The old one ends
after --grace, so that its users have time to change; 'token revoke' ends one at once.

\b
Example:
  twisted-registry token rotate trainer --grace 24h --file tokens
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("name", metavar="ID|NAME")
@click.option(
    "--grace",
    type=AgeType(),
    metavar="AGE",
    default="24h",
    show_default=True,
    help="How long the old token stays valid, such as 15m or 24h.",
)
@json_option
@with_tokens_file
def rotate(path: Path, name: str, grace: float, as_json: bool) -> None:
    """
    Run the command.
    """
    with exit_on_error():
        now = int(time.time())
        token = Token.make()
        with editing_tokens(path) as records:
            current = [
                record
                for record in named_tokens(records, [name])
                if record.expires_seconds is None or record.expires_seconds > now
            ]
            if len(current) != 1:
                raise InvalidRequest(
                    f"{name!r} has {len(current)} valid tokens; name the one to replace by its id, as 'token ls' shows"
                )
            (old,) = current
            life = None if old.expires_seconds is None else old.expires_seconds - old.created_seconds
            new = evolve(
                old,
                id=token.id,
                sha256=token.sha256,
                created_seconds=now,
                expires_seconds=None if life is None else now + life,
            )
            end = min(now + int(grace), old.expires_seconds or now + int(grace))
            records[:] = [evolve(each, expires_seconds=end) if each == old else each for each in records]
            records.append(new)
        print_new_token(token, new, as_json)
