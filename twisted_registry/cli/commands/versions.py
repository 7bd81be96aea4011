"""
The command that lists a model's versions.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, print_object, print_table
from twisted_registry.cli.params import ReferenceType
from twisted_registry.cli.query_options import filter_option, sort_option
from twisted_registry.cli.records import HISTORY_HEADS, history_cells, read_info, record_object
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.errors import CorruptVersion, UnknownVersion
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """List the versions of a model, the newest last.

MODEL@3 lists the versions from number 3 on, MODEL@-3 the last three, MODEL@production those from the one that the alias
names on. Damaged versions are skipped. 'search' shows metrics and labels.

\b
Examples:
  twisted-registry versions walker
  twisted-registry versions walker@-5
  twisted-registry versions walker --filter archived --sort metrics.return
  twisted-registry versions --json walker | jq 'select(.archived) | .version_number'
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@filter_option
@sort_option
@json_option
@with_server
def versions(server: Server, reference: Reference, filter_text: str, order_by: str, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        first = _first_number(client, reference)
        records = _records(client, reference.model_id, first, filter_text, order_by)
        if as_json:
            for record in records:
                print_object(record_object(record))
        else:
            print_table(HISTORY_HEADS, map(history_cells, records))


def _records(
    client: "BlockingClient", model_id: str, first: int, filter_text: str, order_by: str
) -> Iterator[VersionRecord]:
    # Imported late: it imports gRPC.
    from twisted_registry.client.errors import Unsupported

    asks_all = not filter_text and not order_by
    # A filter that was given is sent unchanged, so that an error in it names the column that was typed.
    found = client.search(model_id, f"number >= {first}" if asks_all and first > 1 else filter_text, order_by)
    try:
        yield from _from(found, first)
    except Unsupported:
        if not asks_all:
            raise
        yield from map(VersionRecord, client.versions(model_id, first))  # a registry that has only cogmentAPI


def _from(records: Iterable[VersionRecord], first: int) -> Iterator[VersionRecord]:
    return (record for record in records if record.number >= first)


def _first_number(client: "BlockingClient", reference: Reference) -> int:
    if reference.is_model:
        return 1
    if reference.selector is not None and reference.selector > 0:
        return reference.selector
    try:
        return read_info(client, reference).version_number
    except UnknownVersion:
        return 1  # There are fewer versions.
    except CorruptVersion as error:
        return error.version_number
