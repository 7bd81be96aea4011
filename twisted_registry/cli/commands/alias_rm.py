"""
The command that removes an alias.
"""

from typing import TYPE_CHECKING

import click

from twisted_registry.cli.alias_options import expected_option, reason_option
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt
from twisted_registry.cli.outcomes import outcome
from twisted_registry.cli.output import json_option, print_line, print_object
from twisted_registry.cli.params import AliasType
from twisted_registry.cli.records import alias_name
from twisted_registry.cli.references import reference_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """Remove an alias. The version that it names stays, and so does the alias's history.

\b
Examples:
  twisted-registry alias rm walker@canary
  twisted-registry alias rm walker@canary --expected 4 --reason "trial is over"
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL@ALIAS", type=AliasType())
@expected_option
@reason_option
@json_option
@with_server
def rm(server: Server, reference: Reference, expected_number: int | None, reason: str, as_json: bool) -> None:
    """
    Run the command.
    """
    model_id, alias = reference.model_id, reference.alias or ""
    with server.client() as client, exit_on_interrupt(lambda: removal_outcome(server, reference)):
        client.delete_alias(model_id, alias, expected_number=expected_number, reason=reason)
        if as_json:
            print_object({"model_id": model_id, "alias": alias, "deleted": True})
        else:
            print_line(f"removed {alias_name(model_id, alias)}")


def removal_outcome(server: Server, reference: Reference) -> str:
    """
    Return a sentence on whether an alias was removed, after an interruption.
    """

    def is_gone(client: "BlockingClient") -> bool:
        return reference.alias not in client.aliases(reference.model_id)

    fact = f"{alias_name(reference.model_id, reference.alias or '')} was removed"
    return outcome(server, is_gone, fact, f"alias log {reference_word(reference)}")
