"""
The commands that tell what is there.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import (
    json_option,
    kind,
    model_object,
    print_facts,
    print_object,
    print_table,
    version_object,
)
from twisted_registry.cli.params import ModelType, ReferenceType
from twisted_registry.cli.references import REFERENCES, Reference, harmless_reference
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import age, exact_timestamp, harmless_id, harmless_line, pairs, size, timestamp
from twisted_registry.domain.errors import CorruptVersion, UnknownModel, UnknownVersion
from twisted_registry.domain.models import ModelInfo, VersionInfo

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_LS_HELP = """List models, all of them or those named, with their user data.

On a terminal it is a table; in a pipe the columns are divided by tabs, and there are no heads.

\b
Examples:
  twisted-registry ls
  twisted-registry ls -l walker runner
  twisted-registry ls --json | jq -r .model_id
"""

_VERSIONS_HELP = """List the versions of a model, the newest last.

MODEL@3 lists those from number 3 on, MODEL@-3 the last three. Damaged ones are passed over.

\b
Examples:
  twisted-registry versions walker
  twisted-registry versions walker@-5
  twisted-registry versions --json walker | jq 'select(.archived) | .version_number'
"""

_INFO_HELP = f"""Tell all there is to know of a model or a version, but for its data.

{REFERENCES}
\b
Examples:
  twisted-registry info walker
  twisted-registry info walker@-1
  twisted-registry info --json walker@3 | jq -r .data_hash
"""

_HASH_CHARACTERS = 12


@click.command(help=_LS_HELP, short_help="List models.", epilog=EXIT_STATUS_HELP)
@click.argument("models", metavar="[MODEL]...", type=ModelType("'versions' lists versions"), nargs=-1)
@click.option("-l", "--long", "is_long", is_flag=True, help="With the latest version of each.")
@json_option
@with_server
def ls(server: Server, models: tuple[Reference, ...], is_long: bool, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        infos = (client.model(model.model_id) for model in models) if models else client.models()
        if is_long:
            _list_long(_with_latest(client, infos), as_json)
        elif as_json:
            for info in infos:
                print_object(model_object(info))
        else:
            rows = ((harmless_id(info.model_id), pairs(info.metadata)) for info in infos)
            print_table(("MODEL", "USER DATA"), rows)


Latest = VersionInfo | CorruptVersion | None


def _with_latest(client: "BlockingClient", infos: Iterable[ModelInfo]) -> Iterator[tuple[ModelInfo, Latest]]:
    for info in infos:
        try:
            yield info, client.latest(info.model_id)
        except UnknownVersion:
            yield info, None
        except CorruptVersion as damaged:
            yield info, damaged
        except UnknownModel:
            continue  # It was deleted a moment ago.


def _list_long(found: Iterable[tuple[ModelInfo, Latest]], as_json: bool) -> None:
    if as_json:
        for info, latest in found:
            told = version_object(latest) if isinstance(latest, VersionInfo) else None
            print_object({**model_object(info), "latest": told})
        return
    rows = ((harmless_id(info.model_id), *_latest_cells(latest), pairs(info.metadata)) for info, latest in found)
    print_table(("MODEL", ">LATEST", ">SIZE", ">AGE", "KIND", "USER DATA"), rows)


def _latest_cells(latest: Latest) -> Sequence[str]:
    if latest is None:
        return "-", "-", "-", "-"
    if isinstance(latest, CorruptVersion):
        return str(latest.version_number), "-", "-", "damaged"
    return str(latest.version_number), size(latest.size_bytes), age(latest.created_ns), kind(latest)


@click.command(help=_VERSIONS_HELP, short_help="List a model's versions.", epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@json_option
@with_server
def versions(server: Server, reference: Reference, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        infos = client.versions(reference.model_id, _first(client, reference))
        if as_json:
            for info in infos:
                print_object(version_object(info))
        else:
            print_table((">VERSION", ">SIZE", "CREATED", "KIND", "HASH", "USER DATA"), map(_version_cells, infos))


def _first(client: "BlockingClient", reference: Reference) -> int:
    if reference.selector is None or reference.selector > 0:
        return reference.selector or 1
    try:
        return client.version(reference.model_id, reference.selector).version_number
    except UnknownVersion:
        return 1  # There are fewer.
    except CorruptVersion as damaged:
        return damaged.version_number


def _version_cells(info: VersionInfo) -> Sequence[str]:
    data_hash = harmless_line(info.sha256[:_HASH_CHARACTERS])
    facts = size(info.size_bytes), timestamp(info.created_ns), kind(info), data_hash
    return str(info.version_number), *facts, pairs(info.metadata)


@click.command(help=_INFO_HELP, short_help="Tell all of a model or a version.", epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@json_option
@with_server
def info(server: Server, reference: Reference, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        if reference.selector is None:
            _tell_model(client, reference.model_id, as_json)
        else:
            _tell_version(client.version(reference.model_id, reference.selector), as_json)


def _tell_model(client: "BlockingClient", model_id: str, as_json: bool) -> None:
    model = client.model(model_id)
    found = list(client.versions(model_id))
    archived = sum(version.archived for version in found)
    size_bytes = sum(version.size_bytes for version in found)
    latest = found[-1] if found else None
    if as_json:
        counts = {"versions": len(found), "archived": archived, "size_bytes": size_bytes}
        print_object({**model_object(model), **counts, "latest": latest and version_object(latest)})
        return
    facts = {
        "model": harmless_id(model_id),
        "versions": f"{len(found)}, {archived} of them archived",
        "size": _exact_size(size_bytes),
        "latest": str(latest.version_number) if latest else "-",
    }
    print_facts({**facts, **_metadata(model)})


def _tell_version(version: VersionInfo, as_json: bool) -> None:
    if as_json:
        print_object(version_object(version))
        return
    facts = {
        "version": harmless_reference(version.model_id, version.version_number),
        "kind": kind(version),
        "size": _exact_size(version.size_bytes),
        "created": f"{exact_timestamp(version.created_ns)} ({age(version.created_ns)} ago)",
        "SHA-256": harmless_line(version.sha256),
    }
    print_facts({**facts, **_metadata(version)})


def _exact_size(size_bytes: int) -> str:
    return size(size_bytes) if size_bytes < 1000 else f"{size(size_bytes)} ({size_bytes:,} bytes)"


def _metadata(about: ModelInfo | VersionInfo) -> dict[str, str]:
    return {f"user data {harmless_id(key)}": harmless_id(value) for key, value in sorted(about.metadata.items())}
