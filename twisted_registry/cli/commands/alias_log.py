"""
The command that lists the moves of aliases.
"""

from collections.abc import Sequence
from itertools import islice

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, print_object, print_table
from twisted_registry.cli.params import AliasType
from twisted_registry.cli.records import move_object
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id, timestamp
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.references import Reference

_HELP = """List the moves of an alias, or of all aliases of MODEL, the newest first.

It answers which version was in production on a given day, who moved it there, and why. An alias that was removed keeps
its history.

\b
Examples:
  twisted-registry alias log walker@production
  twisted-registry alias log walker --limit 20
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@ALIAS]", type=AliasType(may_be_model=True))
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Print the newest N moves.")
@json_option
@with_server
def log(server: Server, reference: Reference, limit: int | None, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        moves = islice(client.alias_moves(reference.model_id, reference.alias or ""), limit)
        if as_json:
            for move in moves:
                print_object(move_object(reference.model_id, move))
        else:
            print_table(("MOVED", "ALIAS", ">FROM", ">TO", "?BY", "?REASON"), map(_cells, moves))


def _cells(move: AliasMove) -> Sequence[str]:
    return (
        timestamp(move.moved_ns),
        harmless_id(move.alias),
        str(move.from_number or "-"),
        str(move.to_number or "-"),
        harmless_id(move.actor) if move.actor else "",
        harmless_id(move.reason) if move.reason else "",
    )
