"""
The command that creates an access token.
"""

import time
from pathlib import Path

import click

from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_error
from twisted_registry.cli.output import json_option
from twisted_registry.cli.retention_rules import AgeType
from twisted_registry.cli.tokens import expiry, print_new_token, with_tokens_file
from twisted_registry.domain.access import Scope
from twisted_registry.domain.errors import InvalidRequest

_HELP = """Create a token of NAME, and print it.

The token is printed once, on stdout. The file keeps only its SHA-256, so nobody can find it out later. The daemon reads
the file again by itself. Tokens with the same NAME are the same caller for the daemon.

\b
Roles:
  reader      list and read models, versions, aliases and events
  publisher   reader; also create models, transient versions, labels, metrics
  maintainer  publisher; also archive, delete, move aliases, set retention
  admin       everything

\b
Examples:
  twisted-registry token create trainer --role publisher --model 'team-a/*' --expires 30d --file tokens
  twisted-registry token create ci --role reader --model '*' --file tokens >ci.token
"""

_DEFAULT_AGE = "90d"


class _Expiry(AgeType):
    """
    A time span, or ``never``.
    """

    def convert(  # type: ignore[override]  # never is None
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """
        Parse it.
        """
        return None if value == "never" else super().convert(value, param, ctx)


class _Pattern(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    A pattern of model ids.
    """

    name = "pattern"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """
        Check a pattern.
        """
        try:
            return str(Scope.parse(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("name")
@click.option("--role", required=True, metavar="ROLE", help="A role: one of the above, or of the policy.")
@click.option(
    "--model",
    "models",
    type=_Pattern(),
    metavar="PATTERN",
    required=True,
    multiple=True,
    help="A model, or a prefix such as 'team-a/*'; '*' for all. Can be repeated.",
)
@click.option(
    "--expires",
    type=_Expiry(),
    metavar="AGE",
    default=_DEFAULT_AGE,
    show_default=True,
    help="When it ends, such as 12h or 30d, or 'never'.",
)
@json_option
@with_tokens_file
def create(path: Path, name: str, role: str, models: tuple[str, ...], expires: float | None, as_json: bool) -> None:
    """
    Run the command.
    """
    if not (name.isprintable() and name.isascii() and 0 < len(name) <= 255) or " " in name:
        raise click.BadParameter("expected up to 255 printable ASCII characters without spaces", param_hint="NAME")
    with exit_on_error():
        token = Token.make()
        record = TokenRecord(token.id, name, token.sha256, role, models, int(time.time()), expiry(expires))
        with editing_tokens(path) as records:
            if any(each.id == record.id for each in records):
                raise InvalidRequest("the random id is in use already; create the token again")
            records.append(record)
        print_new_token(token, record, as_json)
