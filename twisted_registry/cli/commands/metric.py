"""
The command that changes a version's metrics.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt
from twisted_registry.cli.outcomes import outcome
from twisted_registry.cli.output import json_option
from twisted_registry.cli.params import MetricType, ReferenceType
from twisted_registry.cli.records import print_annotations
from twisted_registry.cli.references import REFERENCES, reference_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = f"""Set metrics of a version with NAME=NUMBER, and remove them with NAME-. Other metrics stay.

A metric is a number that may be known only after the version was created, such as the score of an evaluation. 'search'
sorts by it, and retention keeps the best.

{REFERENCES}
\b
Examples:
  twisted-registry metric walker@3 return=203.5 loss=1e-3
  twisted-registry metric walker@3 loss-
"""


replace_option = click.option("--replace", is_flag=True, help="Remove all other labels and metrics, also damaged ones.")


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@click.argument("changes", metavar="{NAME=NUMBER|NAME-}...", type=MetricType(), nargs=-1, required=True)
@replace_option
@json_option
@with_server
def metric(
    server: Server, reference: Reference, changes: tuple[tuple[str, float | None], ...], replace: bool, as_json: bool
) -> None:
    """
    Run the command.
    """
    metrics = {name: value for name, value in changes if value is not None}
    removed = [name for name, value in changes if value is None]
    with server.client() as client, exit_on_interrupt(lambda: annotation_outcome(server, reference, metrics, removed)):
        record = client.annotate(str(reference), metrics=metrics, remove_metrics=removed, replace=replace)
        print_annotations(record, as_json)


def annotation_outcome(
    server: Server, reference: Reference, wanted: Mapping[str, str] | Mapping[str, float], removed: Collection[str]
) -> str:
    """
    Return a sentence on whether labels or metrics were changed, after an interruption.

    Args:
        wanted: the labels or metrics to set.
        removed: the keys to remove.
    """

    def is_changed(client: "BlockingClient") -> bool:
        record = client.get(str(reference))
        found = {**record.labels, **record.metrics}
        return found.items() >= dict(wanted).items() and not found.keys() & {*removed}

    word = reference_word(reference)
    return outcome(server, is_changed, f"{word} was changed", f"info {word}")
