"""
Options and output of the commands for access tokens.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import Token
from twisted_registry.cli.output import print_object
from twisted_registry.cli.text import exact_timestamp, timestamp
from twisted_registry.domain.errors import InvalidRequest

TOKENS_VARIABLE = "COGMENT_MODEL_REGISTRY_TOKENS_FILE"

_NS = 10**9

with_tokens_file = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar=TOKENS_VARIABLE,
    show_envvar=True,
    required=True,
    help="The file with the tokens, the --tokens-file of the daemon; created if missing.",
)
"""Adds the option that names the file to a command, which gets it as ``path``."""


def token_object(record: TokenRecord) -> dict[str, Any]:
    """
    Return a token as a JSON object, without its secret.
    """
    return {
        "id": record.id,
        "name": record.name,
        "role": record.role,
        "models": list(record.models),
        "created": exact_timestamp(record.created_seconds * _NS),
        "expires": None if record.expires_seconds is None else exact_timestamp(record.expires_seconds * _NS),
    }


def times_of(record: TokenRecord) -> tuple[str, str]:
    """
    Return when a token was created and when it expires, for people.
    """
    ends = "never" if record.expires_seconds is None else timestamp(record.expires_seconds * _NS)
    return timestamp(record.created_seconds * _NS), ends


def print_new_token(token: Token, record: TokenRecord, as_json: bool) -> None:
    """
    Print a new token, the only time that anyone sees it: on stdout nothing but the token, so that it can be piped.
    """
    if as_json:
        print_object({**token_object(record), "token": token.text})
        return
    ends = "it does not expire" if record.expires_seconds is None else f"it expires {times_of(record)[1]}"
    models = ", ".join(record.models)
    click.echo(f"token {record.id} of {record.name}: {record.role} on {models}; {ends}; it is shown only now", err=True)
    click.echo(token.text)


def named_tokens(records: Sequence[TokenRecord], names: Sequence[str]) -> Sequence[TokenRecord]:
    """
    Return the tokens with these ids or names.

    Raises:
        InvalidRequest: there is none with one of them.
    """
    found = []
    for name in names:
        matching = [record for record in records if name in (record.id, record.name)]
        if not matching:
            raise InvalidRequest(f"the file has no token with the id or the name {name!r}; 'token ls' lists them")
        found += matching
    return list({record.id: record for record in found}.values())


def expiry(age_seconds: float | None, now_seconds: Callable[[], float] = time.time) -> int | None:
    """
    Return when a token expires, in seconds since the Unix epoch; ``None`` for never.

    Args:
        age_seconds: how long it is valid; ``None`` for ever.
        now_seconds: returns the time in seconds since the Unix epoch.
    """
    return None if age_seconds is None else int(now_seconds() + age_seconds)
