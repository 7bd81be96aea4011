"""
The command that changes a version's labels.
"""

import click

from twisted_registry.cli.commands.metric import annotation_outcome, replace_option
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt
from twisted_registry.cli.output import json_option
from twisted_registry.cli.params import LabelType, ReferenceType
from twisted_registry.cli.records import print_annotations
from twisted_registry.cli.references import REFERENCES
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.references import Reference

_HELP = f"""Set labels of a version with KEY=VALUE, and remove them with KEY-. Other labels stay.

Labels are text that may change at any time; metadata is fixed when a version is created. A version with the label 'pin'
is never deleted by retention.

{REFERENCES}
\b
Examples:
  twisted-registry label walker@3 reviewed=yes
  twisted-registry label walker@3 pin= reviewed-
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@click.argument("changes", metavar="{KEY=VALUE|KEY-}...", type=LabelType(), nargs=-1, required=True)
@replace_option
@json_option
@with_server
def label(
    server: Server, reference: Reference, changes: tuple[tuple[str, str | None], ...], replace: bool, as_json: bool
) -> None:
    """
    Run the command.
    """
    labels = {key: value for key, value in changes if value is not None}
    removed = [key for key, value in changes if value is None]
    with server.client() as client, exit_on_interrupt(lambda: annotation_outcome(server, reference, labels, removed)):
        record = client.annotate(str(reference), labels=labels, remove_labels=removed, replace=replace)
        print_annotations(record, as_json)
