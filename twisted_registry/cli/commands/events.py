"""
The command that prints events.
"""

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_quietly_on_interrupt
from twisted_registry.cli.event_text import event_object, event_text
from twisted_registry.cli.output import json_option, print_line, print_object
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.references import Reference

_KINDS = (
    "version_created",
    "version_archived",
    "version_updated",
    "version_deleted",
    "version_evicted",
    "alias_moved",
    "model_created",
    "model_updated",
    "model_deleted",
)

_HELP = """Print a line for each event from now on: versions that are created, archived, changed, deleted or evicted,
aliases that move, and models that are created, changed or deleted. Only those of MODEL, if it is given.

The command waits while the registry is away, and continues after the last event. After a restart of the registry that
is not possible: the command ends with 1. --cursor continues after an event that 'events --json' printed earlier; the
registry keeps the last 10,000. Ctrl-C ends the command quietly, with 130.

\b
Examples:
  twisted-registry events
  twisted-registry events walker --kind alias_moved
  twisted-registry events --json | jq --unbuffered -r .kind
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", metavar="[MODEL]", required=False, type=ModelType("events are those of a model"))
@click.option("--prefix", metavar="TEXT", default="", help="Only models whose ids begin with it.")
@click.option(
    "--kind", "kinds", type=click.Choice(_KINDS), metavar="KIND", multiple=True, help="Only this kind; may be repeated."
)
@click.option("--cursor", metavar="CURSOR", default="", help="Continue after the event with this cursor.")
@json_option
@with_server
def events(
    server: Server, model: Reference | None, prefix: str, kinds: tuple[str, ...], cursor: str, as_json: bool
) -> None:
    """
    Run the command.
    """
    if model is not None and prefix:
        raise click.UsageError("name a MODEL, or models by --prefix, and not both")
    model_id = "" if model is None else model.model_id
    with exit_quietly_on_interrupt(), server.client() as client:
        for event in client.events(model_id, prefix=prefix, kinds=kinds, cursor=cursor):
            if as_json:
                print_object(event_object(event))
            elif text := event_text(event):
                print_line(text)
