"""
The command that shows a model or a version.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, kind, model_object, print_facts, print_object, version_object
from twisted_registry.cli.params import ReferenceType
from twisted_registry.cli.records import number_text, read_aliases, read_record, record_object
from twisted_registry.cli.references import REFERENCES, harmless_reference
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import age, exact_timestamp, harmless, harmless_id, harmless_line, size
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = f"""Show everything about a model or a version except its data.

{REFERENCES}
\b
Examples:
  twisted-registry info walker
  twisted-registry info walker@production
  twisted-registry info --json walker@3 | jq -r .data_hash
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@json_option
@with_server
def info(server: Server, reference: Reference, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        if reference.is_model:
            _print_model(client, reference.model_id, as_json)
        else:
            _print_version(read_record(client, reference), as_json)


def _print_model(client: "BlockingClient", model_id: str, as_json: bool) -> None:
    model = client.model(model_id)
    aliases = read_aliases(client, model_id)
    found = list(client.versions(model_id))
    archived = sum(version.archived for version in found)
    size_bytes = sum(version.size_bytes for version in found)
    latest = found[-1] if found else None
    if as_json:
        counts = {"versions": len(found), "archived": archived, "size_bytes": size_bytes}
        last = latest and version_object(latest)
        print_object({**model_object(model), **counts, "aliases": aliases, "latest": last})
        return
    facts = {
        "model": harmless_id(model_id),
        "versions": f"{len(found)}, {archived} of them archived",
        "size": _exact_size(size_bytes),
        "latest": str(latest.version_number) if latest else "-",
    }
    for alias, number in sorted(aliases.items()):
        facts[f"alias {harmless(alias)}"] = str(number)
    print_facts({**facts, **_pairs("metadata", model.metadata)})


def _print_version(record: VersionRecord, as_json: bool) -> None:
    if as_json:
        print_object(record_object(record))
        return
    version = record.info
    facts = {
        "version": harmless_reference(version.model_id, version.version_number),
        "kind": kind(version),
        "size": _exact_size(version.size_bytes),
        "created": f"{exact_timestamp(version.created_ns)} ({age(version.created_ns)} ago)",
        "SHA-256": harmless_line(version.sha256),
    }
    if record.created_by:
        facts["created by"] = harmless_line(record.created_by)
    if record.aliases:
        facts["aliases"] = " ".join(map(harmless, record.aliases))
    metrics = {f"metric {harmless_id(name)}": number_text(value) for name, value in sorted(record.metrics.items())}
    print_facts({**facts, **metrics, **_pairs("label", record.labels), **_pairs("metadata", version.metadata)})


def _exact_size(size_bytes: int) -> str:
    return size(size_bytes) if size_bytes < 1000 else f"{size(size_bytes)} ({size_bytes:,} bytes)"


def _pairs(name: str, found: Mapping[str, str]) -> dict[str, str]:
    return {f"{name} {harmless_id(key)}": harmless_id(value) for key, value in sorted(found.items())}
