"""
The command that lists models.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, kind, model_object, print_object, print_table, version_object
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.query_options import filter_option, sort_option
from twisted_registry.cli.records import model_record_object
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import age, harmless, harmless_id, pairs, size
from twisted_registry.domain.errors import CorruptVersion, UnknownModel, UnknownVersion
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.records import ModelRecord
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """List all models, or only those named, with their metadata.

With --filter or --sort the list also has the latest number of each model, how many versions it has, how many of them
are archived, and its aliases. On a terminal the list is a table; in a pipe, columns are separated by tabs, without a
header.

\b
Examples:
  twisted-registry ls
  twisted-registry ls -l walker runner
  twisted-registry ls --filter 'aliases:production' --sort 'version_count desc'
  twisted-registry ls --json | jq -r .model_id
"""

Latest = VersionInfo | CorruptVersion | None
"""The latest version of a model; the error if it is damaged; ``None`` if there are no versions."""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("models", metavar="[MODEL]...", type=ModelType("'versions' lists versions"), nargs=-1)
@click.option("-l", "--long", "is_long", is_flag=True, help="Show the latest version of each model.")
@filter_option
@sort_option
@json_option
@with_server
def ls(
    server: Server, models: tuple[Reference, ...], is_long: bool, filter_text: str, order_by: str, as_json: bool
) -> None:
    """
    Run the command.
    """
    if (filter_text or order_by) and (models or is_long):
        raise click.UsageError("--filter and --sort cannot be combined with --long or with names of models")
    with server.client() as client:
        if filter_text or order_by:
            _print_records(client.search_models(filter_text, order_by), as_json)
            return
        infos = (client.model(model.model_id) for model in models) if models else client.models()
        if is_long:
            _print_long(_with_latest(client, infos), as_json)
        elif as_json:
            for info in infos:
                print_object(model_object(info))
        else:
            rows = ((harmless_id(info.model_id), pairs(info.metadata)) for info in infos)
            print_table(("MODEL", "METADATA"), rows)


def _print_records(records: Iterable[ModelRecord], as_json: bool) -> None:
    if as_json:
        for record in records:
            print_object(model_record_object(record))
        return
    print_table(("MODEL", ">LATEST", ">VERSIONS", ">ARCHIVED", "?ALIASES", "METADATA"), map(_record_cells, records))


def _record_cells(record: ModelRecord) -> Sequence[str]:
    counts = str(record.latest_number or "-"), str(record.version_count), str(record.archived_count)
    aliases = " ".join(f"{harmless(alias)}={number}" for alias, number in sorted(record.aliases.items()))
    return harmless_id(record.model_id), *counts, aliases, pairs(record.metadata)


def _with_latest(client: "BlockingClient", infos: Iterable[ModelInfo]) -> Iterator[tuple[ModelInfo, Latest]]:
    for info in infos:
        try:
            yield info, client.latest(info.model_id)
        except UnknownVersion:
            yield info, None
        except CorruptVersion as error:
            yield info, error
        except UnknownModel:
            continue  # It was deleted after it was listed.


def _print_long(found: Iterable[tuple[ModelInfo, Latest]], as_json: bool) -> None:
    if as_json:
        for info, latest in found:
            version = version_object(latest) if isinstance(latest, VersionInfo) else None
            print_object({**model_object(info), "latest": version})
        return
    rows = ((harmless_id(info.model_id), *_latest_cells(latest), pairs(info.metadata)) for info, latest in found)
    print_table(("MODEL", ">LATEST", ">SIZE", ">AGE", "KIND", "METADATA"), rows)


def _latest_cells(latest: Latest) -> Sequence[str]:
    if latest is None:
        return "-", "-", "-", "-"
    if isinstance(latest, CorruptVersion):
        return str(latest.version_number), "-", "-", "damaged"
    return str(latest.version_number), size(latest.size_bytes), age(latest.created_ns), kind(latest)
