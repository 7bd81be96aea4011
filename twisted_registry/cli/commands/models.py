"""
The commands that change models.
"""

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.advice import model_word
from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, exit_on_interrupt
from twisted_registry.cli.output import json_option, model_object, print_line, print_object, print_table
from twisted_registry.cli.pairs import PairType
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.references import Reference
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id, pairs
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.models import ModelInfo

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_RM_HELP = """Delete MODEL with all its versions, archived ones too.

On a terminal it asks first; elsewhere it wants --yes. One version cannot be deleted.

\b
Examples:
  twisted-registry rm walker
  twisted-registry rm --yes walker
"""

_SET_HELP = """Set user data of MODEL, and make the model where there is none.

What else is there stays, unless --replace is given. The registry takes all user data of a model at once: where two
change it in the same moment, each looks afterwards and tries again, and in the worst case the later one wins.

\b
Examples:
  twisted-registry set walker algorithm=ppo owner=ada
  twisted-registry set walker --unset owner
  twisted-registry set walker --replace algorithm=sac
"""


@click.command(help=_RM_HELP, short_help="Delete a model.", epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("the registry deletes models, not single versions"))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@with_server
def rm(server: Server, model: Reference, yes: bool, as_json: bool) -> None:
    """
    Run the command.
    """
    if not yes and (sys.stdin is None or not sys.stdin.isatty()):
        raise click.UsageError("there is nobody to ask whether it is meant: give --yes")
    with server.client() as client:
        with exit_on_interrupt(lambda: f"model {harmless_id(model.model_id)} was not deleted"):
            if not yes and not _is_meant(client, model.model_id):
                sys.exit(ExitStatus.REFUSED)
        with exit_on_interrupt(lambda: deletion(server, model.model_id)):
            client.delete_model(model.model_id)
            if as_json:
                print_object({"model_id": model.model_id, "deleted": True})
            else:
                print_line(f"deleted {harmless_id(model.model_id)}")


def _is_meant(client: "BlockingClient", model_id: str) -> bool:
    count = sum(1 for _ in client.versions(model_id))
    versions = f"{count} version{'' if count == 1 else 's'}"
    return click.confirm(f"Delete {harmless_id(model_id)} and its {versions}?", err=True)


def deletion(server: Server, model_id: str) -> str:
    """
    Say whether a model was deleted where that was interrupted.
    """

    def look(client: "BlockingClient") -> bool | None:
        try:
            client.model(model_id)
        except UnknownModel:
            return True
        return None

    if server.poll(look):
        return f"model {harmless_id(model_id)} was deleted"
    return _not_known(f"model {harmless_id(model_id)} was deleted", model_id)


def _not_known(what: str, model_id: str) -> str:
    return f"it is not known whether {what}: 'twisted-registry info {model_word(model_id)}' shows it"


@click.command("set", help=_SET_HELP, short_help="Set a model's user data.", epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("a version's user data is set when it is created"))
@click.argument("metadata", metavar="[KEY=VALUE]...", type=PairType(), nargs=-1)
@click.option("--unset", metavar="KEY", multiple=True, help="Take this key away.")
@click.option("--replace", is_flag=True, help="Keep nothing of what is there.")
@json_option
@with_server
def set_(
    server: Server,
    model: Reference,
    metadata: tuple[tuple[str, str], ...],
    unset: tuple[str, ...],
    replace: bool,
    as_json: bool,
) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        wanted = ModelInfo(model.model_id, {key: value for key, value in metadata if key not in unset})
        with exit_on_interrupt(lambda: saving(server, wanted, None if replace else unset)):
            if replace:
                info = client.save_model(wanted.model_id, wanted.metadata)
            else:
                client.ensure_model(wanted.model_id)
                info = client.update_model(wanted.model_id, wanted.metadata, remove=unset)
            if as_json:
                print_object(model_object(info))
            else:
                print_table(("MODEL", "USER DATA"), [(harmless_id(info.model_id), pairs(info.metadata))])


def saving(server: Server, wanted: ModelInfo, unset: Collection[str] | None = None) -> str:
    """
    Say whether a model's user data was set where that was interrupted.

    Args:
        unset: the keys that were removed; ``None`` for all others.
    """

    def look(client: "BlockingClient") -> bool | None:
        found = client.model(wanted.model_id).metadata
        if unset is None:
            return found == wanted.metadata or None
        return (found.items() >= wanted.metadata.items() and not found.keys() & unset) or None

    fact = f"the user data of model {harmless_id(wanted.model_id)} was set"
    return fact if server.poll(look) else _not_known(fact, wanted.model_id)
