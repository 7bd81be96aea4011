"""
The command that lists who follows a model.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from attrs import asdict

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, print_object, print_table
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import age, exact_timestamp, harmless_id
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import Follower

_HELP = """List who follows MODEL, or all models: the oldest stream first.

A follower is a client that watches versions or events as they happen. It is shown with its address, how long it
follows, and the last version that it was sent. With access control this takes the permissions 'status' and 'read'.

\b
Examples:
  twisted-registry followers walker
  twisted-registry followers --json | jq -r .peer
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", required=False, type=ModelType("followers follow a model or an alias, never a version"))
@json_option
@with_server
def followers(server: Server, model: Reference | None, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        found = client.followers("" if model is None else model.model_id)
        if as_json:
            for follower in found:
                print_object(_object(follower))
        else:
            print_table(("FOLLOWS", "CALL", "?BY", "FROM", ">SINCE", ">LAST", ">SENT"), map(_cells, found))


def _object(follower: "Follower") -> dict[str, object]:
    fields = asdict(follower)
    last_ns = follower.last_ns
    return {
        **fields,
        "started": exact_timestamp(follower.started_ns),
        "last": None if last_ns is None else exact_timestamp(last_ns),
        "last_number": follower.last_number or None,
        "model_id": follower.model_id or None,
        "actor": follower.actor or None,
    }


def _subject(follower: "Follower") -> str:
    if follower.model_id:
        return harmless_id(follower.model_id)
    return f"{harmless_id(follower.prefix)}*" if follower.prefix else "*"


def _cells(follower: "Follower") -> Sequence[str]:
    return (
        _subject(follower),
        harmless_id(follower.stream),
        harmless_id(follower.actor) if follower.actor else "",
        harmless_id(follower.peer),
        age(follower.started_ns),
        str(follower.last_number or "-"),
        "-" if follower.last_ns is None else age(follower.last_ns),
    )
