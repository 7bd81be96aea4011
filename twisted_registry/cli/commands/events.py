"""
The command that prints events.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.cursor_file import CursorFile
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_quietly_on_interrupt, report
from twisted_registry.cli.event_text import event_object, event_text
from twisted_registry.cli.output import json_option, print_line, print_object
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.events import KINDS
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import Event

_MISSED = (
    "events have been missed: the registry has restarted, or no longer keeps those after the last one that was "
    "received; the next ones follow"
)

_HELP = """Print a line for each event from now on: versions that are created, archived, changed, deleted or evicted,
aliases that move, and models that are created, changed or deleted. Only those of MODEL, if it is given.

The command waits while the registry is away, and continues after the last event. After a restart of the registry that
is not possible: the command ends with 1, or, with --follow, says so on stderr and goes on with the next event. --cursor
continues after an event that 'events --json' printed earlier; the registry keeps the last 10,000. --cursor-file keeps
the cursor in a file. Ctrl-C ends the command quietly, with 130.

\b
Examples:
  twisted-registry events
  twisted-registry events walker --kind alias_moved
  twisted-registry events --json | jq --unbuffered -r .kind
  twisted-registry events --follow --json --cursor-file events.cursor
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", metavar="[MODEL]", required=False, type=ModelType("events are those of a model"))
@click.option("--prefix", metavar="TEXT", default="", help="Only models whose ids begin with it.")
@click.option(
    "--kind", "kinds", type=click.Choice(KINDS), metavar="KIND", multiple=True, help="Only this kind; may be repeated."
)
@click.option("--cursor", metavar="CURSOR", default="", help="Continue after the event with this cursor.")
@click.option(
    "--follow",
    is_flag=True,
    help="Go on when events were missed, and wait for a registry that is away without a limit.",
)
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Continue after the event whose cursor is in FILE, and write there that of each event that is printed.",
)
@json_option
@with_server
def events(
    server: Server,
    model: Reference | None,
    prefix: str,
    kinds: tuple[str, ...],
    cursor: str,
    follow: bool,
    cursor_file: Path | None,
    as_json: bool,
) -> None:
    """
    Run the command.
    """
    if model is not None and prefix:
        raise click.UsageError("name a MODEL, or models by --prefix, and not both")
    if cursor and cursor_file is not None:
        raise click.UsageError("pass --cursor, or --cursor-file, and not both")
    file = None if cursor_file is None else CursorFile(cursor_file)
    model_id = "" if model is None else model.model_id
    times = {"retry_seconds": math.inf} if follow else {}
    with exit_quietly_on_interrupt(), server.client(**times) as client:
        watch = partial(client.events, model_id, prefix=prefix, kinds=kinds)
        for event in _events(watch, cursor if file is None else file.read(), follow=follow):
            if as_json:
                print_object(event_object(event))
            elif text := event_text(event):
                print_line(text)
            if file is not None:
                file.write(event.cursor)


def _events(watch: "Callable[..., Iterable[Event]]", cursor: str, *, follow: bool) -> "Iterator[Event]":
    from twisted_registry.client.errors import CursorExpired

    while True:
        try:
            yield from watch(cursor=cursor)
        except CursorExpired:
            if not follow:
                raise
            report(_MISSED)
            cursor = ""
