"""
The command that makes an alias name a version.
"""

from typing import TYPE_CHECKING

import click

from twisted_registry.cli.alias_options import expected_option, reason_option
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt
from twisted_registry.cli.outcomes import outcome
from twisted_registry.cli.output import json_option, print_line
from twisted_registry.cli.params import AliasNameType, ReferenceType
from twisted_registry.cli.records import alias_name, print_move
from twisted_registry.cli.references import REFERENCES, reference_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = f"""Make ALIAS name a version, whether or not it named another one before.

A transient version is archived first. With --expected the alias moves only if it names that version now; so two people
cannot overwrite each other's move. Every move stays in the history, which 'alias log' prints.

{REFERENCES}
\b
Examples:
  twisted-registry alias set walker@3 production
  twisted-registry alias set walker@4 production --expected 3 --reason "better on stairs"
  twisted-registry alias set walker canary
"""


@click.command("set", help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@click.argument("alias", type=AliasNameType())
@expected_option
@reason_option
@json_option
@with_server
def set_(
    server: Server, reference: Reference, alias: str, expected_number: int | None, reason: str, as_json: bool
) -> None:
    """
    Run the command.
    """
    with server.client() as client, exit_on_interrupt(lambda: setting_outcome(server, reference, alias)):
        before = client.aliases(reference.model_id).get(alias)
        move = client.set_alias(str(reference), alias, expected_number=expected_number, reason=reason)
        if before is not None and before.sequence == move.sequence and not as_json:
            print_line(_unchanged(reference.model_id, move, bool(reason)))
        else:
            print_move(reference.model_id, move, as_json)


def _unchanged(model_id: str, move: AliasMove, has_reason: bool) -> str:
    note = ", and the reason was not recorded" if has_reason else ""
    return f"{alias_name(model_id, move.alias)} names version {move.to_number} already; nothing was changed{note}"


def setting_outcome(server: Server, reference: Reference, alias: str) -> str:
    """
    Return a sentence on whether an alias was set, after an interruption.
    """
    number = reference.selector or 0

    def is_set(client: "BlockingClient") -> bool:
        move = client.aliases(reference.model_id).get(alias)
        return move is not None and move.to_number == number

    # The number behind another reference may have changed since.
    found = is_set if number > 0 else None
    target = Reference(reference.model_id, alias=alias)
    fact = f"{alias_name(reference.model_id, alias)} was set"
    return outcome(server, found, fact, f"alias log {reference_word(target)}")
