"""
The command that archives a version, or copies it to another model.
"""

from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt
from twisted_registry.cli.outcomes import outcome
from twisted_registry.cli.output import json_option
from twisted_registry.cli.params import ModelType, ReferenceType
from twisted_registry.cli.records import print_record
from twisted_registry.cli.references import REFERENCES, model_word, reference_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = f"""Archive a version, so that it is on the registry's disk and never evicted; or copy it to another model.

With one argument the version moves from the registry's memory to its archive: its number and its data stay the same.
Nothing happens to an archived version. With TO_MODEL the registry creates an archived version of that model with the
same data, metadata, labels (also 'pin') and metrics; aliases stay where they are. The data crosses no network either
way.

{REFERENCES}
\b
Examples:
  twisted-registry promote walker@3
  twisted-registry promote walker-dev@3 walker --alias production --reason "passed the tests"
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@click.argument(
    "model", metavar="[TO_MODEL]", required=False, type=ModelType("the registry assigns the number of the copy")
)
@click.option("--transient", is_flag=True, help="Keep the copy in the registry's memory.")
@click.option("--alias", "aliases", metavar="ALIAS", multiple=True, help="An alias of the copy; may be repeated.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the history of the aliases.")
@json_option
@with_server
def promote(
    server: Server,
    reference: Reference,
    model: Reference | None,
    transient: bool,
    aliases: tuple[str, ...],
    reason: str,
    as_json: bool,
) -> None:
    """
    Run the command.
    """
    if model is None and (transient or aliases or reason):
        raise click.UsageError("--transient, --alias and --reason need TO_MODEL; 'alias set' archives a version, too")
    if transient and aliases:
        raise click.UsageError("--transient and --alias cannot be combined: an alias archives its version")
    with server.client() as client:
        if model is None:
            with exit_on_interrupt(lambda: archiving_outcome(server, reference)):
                print_record(client.archive(str(reference)), as_json)
        else:
            record: list[VersionRecord] = []
            with exit_on_interrupt(lambda: copying_outcome(server, model.model_id, record)):
                copied = client.copy(
                    str(reference), model.model_id, transient=transient, aliases=aliases, reason=reason
                )
                record.append(copied)
                print_record(copied, as_json)


def archiving_outcome(server: Server, reference: Reference) -> str:
    """
    Return a sentence on whether a version was archived, after an interruption.
    """

    def is_archived(client: "BlockingClient") -> bool:
        return client.get(str(reference)).archived

    return outcome(
        server, is_archived, f"{reference_word(reference)} was archived", f"info {reference_word(reference)}"
    )


def copying_outcome(server: Server, model_id: str, record: list[VersionRecord]) -> str:
    """
    Return a sentence on whether a version was copied, after an interruption.

    Args:
        record: the copy; empty if it is not known.
    """
    if record:
        return f"{harmless_id(model_id)}@{record[0].number} was created"
    return outcome(
        server, None, f"a version of {harmless_id(model_id)} was created", f"versions {model_word(model_id)}"
    )
