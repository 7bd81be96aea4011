"""
The command that lists a model's aliases.
"""

from collections.abc import Sequence

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, print_object, print_table
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.records import move_object
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id, timestamp
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.references import Reference

_HELP = """List the aliases of MODEL: the version that each names, and the move that made it so.

\b
Examples:
  twisted-registry alias ls walker
  twisted-registry alias ls --json walker | jq -r '"\\(.alias) \\(.to_number)"'
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("'alias log' lists the moves of one alias"))
@json_option
@with_server
def ls(server: Server, model: Reference, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        aliases = client.aliases(model.model_id)
    moves = [move for _, move in sorted(aliases.items())]
    if as_json:
        for move in moves:
            print_object(move_object(model.model_id, move))
    else:
        print_table(("ALIAS", ">VERSION", "MOVED", "?BY", "?REASON"), map(_cells, moves))


def _cells(move: AliasMove) -> Sequence[str]:
    return (
        harmless_id(move.alias),
        str(move.to_number),
        timestamp(move.moved_ns),
        harmless_id(move.actor) if move.actor else "",
        harmless_id(move.reason) if move.reason else "",
    )
