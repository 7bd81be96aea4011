"""
The command that finds versions.
"""

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, print_object
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
  twisted-registry search walker --filter 'metrics.return > 200' --count
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("--filter 'number >= 3' selects by number"))
@filter_option
@sort_option
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Print the first N.")
@click.option("--skip", type=click.IntRange(0), metavar="N", default=0, help="Leave out the first N.")
@click.option("--count", "is_counted", is_flag=True, help="Print only how many there are.")
@json_option
@with_server
def search(
    server: Server,
    model: Reference,
    filter_text: str,
    order_by: str,
    limit: int | None,
    skip: int,
    is_counted: bool,
    as_json: bool,
) -> None:
    """
    Run the command.
    """
    if is_counted and (order_by or limit is not None or skip):
        raise click.UsageError("--count counts all matches; leave out --sort, --limit and --skip")
    with server.client() as client:
        if not is_counted:
            print_search(client.search(model.model_id, filter_text, order_by, skip=skip), limit, as_json)
            return
        count = client.count_versions(model.model_id, filter_text)
    if as_json:
        print_object({"count": count})
    else:
        click.echo(count)
