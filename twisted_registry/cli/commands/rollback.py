"""
The command that moves an alias back.
"""

from typing import TYPE_CHECKING

import click

from twisted_registry.cli.alias_options import reason_option
from twisted_registry.cli.commands.alias_set import setting_outcome
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt, fail
from twisted_registry.cli.output import json_option
from twisted_registry.cli.params import AliasType
from twisted_registry.cli.records import alias_name, print_move
from twisted_registry.cli.references import reference_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.errors import UnknownAlias, UnknownVersion
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """Move an alias back to the version that it named before its last move.

Nothing moves if that version no longer exists, or if someone else moves the alias meanwhile. The move is part of the
history, so a second rollback undoes the first. An alias that was removed is restored.

\b
Examples:
  twisted-registry rollback walker@production
  twisted-registry rollback walker@production --reason "falls on stairs"
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL@ALIAS", type=AliasType())
@reason_option
@json_option
@with_server
def rollback(server: Server, reference: Reference, reason: str, as_json: bool) -> None:
    """
    Run the command.
    """
    model_id, alias = reference.model_id, reference.alias or ""
    with server.client() as client:
        with exit_on_interrupt(lambda: f"{alias_name(model_id, alias)} was not moved"):
            last = _last_move(client, model_id, alias)
            target = Reference(model_id, last.from_number)
            _check_exists(client, target, reference)
        with exit_on_interrupt(lambda: setting_outcome(server, target, alias)):
            reason = reason or (f"rollback from version {last.to_number}" if last.to_number else "restored")
            move = client.set_alias(str(target), alias, expected_number=last.to_number, reason=reason)
            print_move(model_id, move, as_json)


def _last_move(client: "BlockingClient", model_id: str, alias: str) -> AliasMove:
    last = next(iter(client.alias_moves(model_id, alias)), None)
    if last is None:
        raise UnknownAlias(model_id, alias)
    if not last.from_number:
        fail(f"{alias_name(model_id, alias)} named no version before version {last.to_number}, so it stays there")
    return last


def _check_exists(client: "BlockingClient", target: Reference, reference: Reference) -> None:
    try:
        client.get(str(target))
    except UnknownVersion:
        name, word = alias_name(reference.model_id, reference.alias or ""), reference_word(reference)
        fail(
            f"version {target.selector}, which {name} named before, no longer exists, so nothing was moved; "
            f"'twisted-registry alias log {word}' lists earlier ones, and 'twisted-registry alias set' names one"
        )
