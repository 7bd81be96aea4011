"""
The command that deletes a model or a version.
"""

import sys
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.confirmation import check_confirmable
from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, exit_on_interrupt
from twisted_registry.cli.outcomes import outcome
from twisted_registry.cli.output import json_option, kind, print_line, print_object
from twisted_registry.cli.params import ReferenceType
from twisted_registry.cli.records import alias_name, read_info
from twisted_registry.cli.references import harmless_reference, model_word, reference_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id, size
from twisted_registry.domain.errors import CorruptVersion, UnknownModel, UnknownVersion
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """Delete MODEL with all its versions, including archived ones; or, with MODEL@3, that version only.

On a terminal the command asks for confirmation; elsewhere it requires --yes. No other version gets the number of one
that was deleted. A version that an alias names is kept until the alias is moved or removed. A damaged version can be
deleted, too.

\b
Examples:
  twisted-registry rm walker
  twisted-registry rm --yes walker@3
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@with_server
def rm(server: Server, reference: Reference, yes: bool, as_json: bool) -> None:
    """
    Run the command.
    """
    if reference.alias is not None:
        raise click.UsageError(_names_an_alias(reference))
    check_confirmable(yes)
    with server.client() as client:
        if reference.is_model:
            _delete_model(server, client, reference.model_id, yes, as_json)
        else:
            _delete_version(server, client, reference, yes, as_json)


def _names_an_alias(reference: Reference) -> str:
    word = reference_word(reference)
    return (
        f"{alias_name(reference.model_id, reference.alias or '')} is an alias: 'twisted-registry alias rm {word}' "
        "removes it; to delete the version that it names, move or remove its aliases, then name it by its number"
    )


def _delete_model(server: Server, client: "BlockingClient", model_id: str, yes: bool, as_json: bool) -> None:
    with exit_on_interrupt(lambda: f"model {harmless_id(model_id)} was not deleted"):
        if not yes and not _is_confirmed(client, model_id):
            sys.exit(ExitStatus.FAILED)
    with exit_on_interrupt(lambda: deletion_outcome(server, model_id)):
        client.delete_model(model_id)
        if as_json:
            print_object({"model_id": model_id, "deleted": True})
        else:
            print_line(f"deleted {harmless_id(model_id)}")


def _is_confirmed(client: "BlockingClient", model_id: str) -> bool:
    count = sum(1 for _ in client.versions(model_id))
    versions = f"{count} version{'' if count == 1 else 's'}"
    return click.confirm(f"Delete {harmless_id(model_id)} and its {versions}?", err=True)


def _delete_version(server: Server, client: "BlockingClient", reference: Reference, yes: bool, as_json: bool) -> None:
    model_id = reference.model_id
    with exit_on_interrupt(lambda: f"{reference_word(reference)} was not deleted"):
        # A reference such as @latest names the version that was confirmed, and not one that was created since.
        number, description = _described(client, reference)
        name = harmless_reference(model_id, number)
        if not yes and not click.confirm(f"Delete {name} ({description})?", err=True):
            sys.exit(ExitStatus.FAILED)
    exact = Reference(model_id, number)
    with exit_on_interrupt(lambda: version_deletion_outcome(server, exact)):
        client.delete_version(str(exact))
        if as_json:
            print_object({"model_id": model_id, "version_number": number, "deleted": True})
        else:
            print_line(f"deleted {name}")


def _described(client: "BlockingClient", reference: Reference) -> tuple[int, str]:
    """
    Return the number of the version that a reference names, and its properties for a question.
    """
    try:
        info = read_info(client, reference)
    except CorruptVersion as damaged:
        return damaged.version_number, "damaged"
    return info.version_number, f"{size(info.size_bytes)}, {kind(info)}"


def deletion_outcome(server: Server, model_id: str) -> str:
    """
    Return a sentence on whether a model was deleted, after an interruption.
    """

    def is_gone(client: "BlockingClient") -> bool:
        try:
            client.model(model_id)
        except UnknownModel:
            return True
        return False

    return outcome(server, is_gone, f"model {harmless_id(model_id)} was deleted", f"info {model_word(model_id)}")


def version_deletion_outcome(server: Server, reference: Reference) -> str:
    """
    Return a sentence on whether a version was deleted, after an interruption.
    """

    def is_gone(client: "BlockingClient") -> bool:
        try:
            client.get(str(reference))
        except (UnknownModel, UnknownVersion):
            return True
        return False

    word = reference_word(reference)
    return outcome(server, is_gone, f"{word} was deleted", f"info {word}")
