"""
The command that finds versions.
"""

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.query_options import filter_option, sort_option
from twisted_registry.cli.records import print_search
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.references import Reference

_HELP = """Find versions of MODEL by metrics, labels, metadata, age and more, and show their metrics and labels.

A filter is made of comparisons with AND, OR and NOT; an order lists fields, each with 'desc' for the highest first.
Without an order the versions come by number. docs/reference/filters.md lists all fields.

\b
Examples:
  twisted-registry search walker --sort 'metrics.return desc' --limit 3
  twisted-registry search walker --filter 'archived AND metrics.return > 200'
  twisted-registry search walker --filter 'age < 7d AND labels.env = stairs' --json | jq .version_number
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("--filter 'number >= 3' selects by number"))
@filter_option
@sort_option
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Print the first N.")
@json_option
@with_server
def search(server: Server, model: Reference, filter_text: str, order_by: str, limit: int | None, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        print_search(client.search(model.model_id, filter_text, order_by), limit, as_json)
