"""
The command that sets a model's metadata.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt
from twisted_registry.cli.outcomes import outcome
from twisted_registry.cli.output import json_option, model_object, print_object, print_table
from twisted_registry.cli.params import ModelType, PairType
from twisted_registry.cli.references import model_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id, pairs
from twisted_registry.domain.models import ModelInfo
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """Set metadata of MODEL, and create the model if it does not exist.

Other metadata is kept, unless --replace is given. If two commands change a model at the same time, both changes are
kept; of the same key, the later value.

\b
Examples:
  twisted-registry set walker algorithm=ppo owner=ada
  twisted-registry set walker --unset owner
  twisted-registry set walker --replace algorithm=sac
"""


@click.command("set", help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("a version's metadata is set when it is created"))
@click.argument("metadata", metavar="[KEY=VALUE]...", type=PairType(), nargs=-1)
@click.option("--unset", metavar="KEY", multiple=True, help="Remove this key; may be repeated.")
@click.option("--replace", is_flag=True, help="Remove all other keys.")
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
        with exit_on_interrupt(lambda: update_outcome(server, wanted, None if replace else unset)):
            if replace:
                info = client.save_model(wanted.model_id, wanted.metadata)
            else:
                client.ensure_model(wanted.model_id)
                info = client.update_model(wanted.model_id, wanted.metadata, remove=unset)
            if as_json:
                print_object(model_object(info))
            else:
                print_table(("MODEL", "METADATA"), [(harmless_id(info.model_id), pairs(info.metadata))])


def update_outcome(server: Server, wanted: ModelInfo, unset: Collection[str] | None = None) -> str:
    """
    Return a sentence on whether a model's metadata was set, after an interruption.

    Args:
        unset: the keys that were to be removed; ``None`` for all other keys.
    """

    def is_set(client: "BlockingClient") -> bool:
        found = client.model(wanted.model_id).metadata
        if unset is None:
            return found == wanted.metadata
        return found.items() >= wanted.metadata.items() and not found.keys() & unset

    fact = f"the metadata of model {harmless_id(wanted.model_id)} was set"
    return outcome(server, is_set, fact, f"info {model_word(wanted.model_id)}")
