"""
The command that deletes a model.
"""

import sys
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, exit_on_interrupt
from twisted_registry.cli.output import json_option, print_line, print_object
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.references import model_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """Delete MODEL with all its versions, including archived ones.

On a terminal the command asks for confirmation; elsewhere it requires --yes. A single version cannot be deleted.

\b
Examples:
  twisted-registry rm walker
  twisted-registry rm --yes walker
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("the registry deletes models, not single versions"))
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@with_server
def rm(server: Server, model: Reference, yes: bool, as_json: bool) -> None:
    """
    Run the command.
    """
    if not yes and (sys.stdin is None or not sys.stdin.isatty()):
        raise click.UsageError("stdin is not a terminal, so the command cannot ask for confirmation: pass --yes")
    with server.client() as client:
        with exit_on_interrupt(lambda: f"model {harmless_id(model.model_id)} was not deleted"):
            if not yes and not _is_confirmed(client, model.model_id):
                sys.exit(ExitStatus.FAILED)
        with exit_on_interrupt(lambda: deletion_outcome(server, model.model_id)):
            client.delete_model(model.model_id)
            if as_json:
                print_object({"model_id": model.model_id, "deleted": True})
            else:
                print_line(f"deleted {harmless_id(model.model_id)}")


def _is_confirmed(client: "BlockingClient", model_id: str) -> bool:
    count = sum(1 for _ in client.versions(model_id))
    versions = f"{count} version{'' if count == 1 else 's'}"
    return click.confirm(f"Delete {harmless_id(model_id)} and its {versions}?", err=True)


def deletion_outcome(server: Server, model_id: str) -> str:
    """
    Return a sentence on whether a model was deleted, after an interruption.
    """

    def is_gone(client: "BlockingClient") -> bool | None:
        try:
            client.model(model_id)
        except UnknownModel:
            return True
        return None

    fact = f"model {harmless_id(model_id)} was deleted"
    if server.poll(is_gone):
        return fact
    return f"it is not known whether {fact}: 'twisted-registry info {model_word(model_id)}' shows it"
