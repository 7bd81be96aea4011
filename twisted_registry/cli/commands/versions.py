"""
The command that lists a model's versions.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, kind, print_object, print_table, version_object
from twisted_registry.cli.params import ReferenceType
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_line, pairs, size, timestamp
from twisted_registry.domain.errors import CorruptVersion, UnknownVersion
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """List the versions of a model, the newest last.

MODEL@3 lists the versions from number 3 on, MODEL@-3 the last three. Damaged versions are skipped.

\b
Examples:
  twisted-registry versions walker
  twisted-registry versions walker@-5
  twisted-registry versions --json walker | jq 'select(.archived) | .version_number'
"""

_HASH_CHARACTERS = 12


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@json_option
@with_server
def versions(server: Server, reference: Reference, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        infos = client.versions(reference.model_id, _first_number(client, reference))
        if as_json:
            for info in infos:
                print_object(version_object(info))
        else:
            print_table((">VERSION", ">SIZE", "CREATED", "KIND", "HASH", "METADATA"), map(_cells, infos))


def _first_number(client: "BlockingClient", reference: Reference) -> int:
    if reference.is_model:
        return 1
    if reference.version > 0:
        return reference.version
    try:
        return client.version(reference.model_id, reference.version).version_number
    except UnknownVersion:
        return 1  # There are fewer versions.
    except CorruptVersion as error:
        return error.version_number


def _cells(info: VersionInfo) -> Sequence[str]:
    sha256 = harmless_line(info.sha256[:_HASH_CHARACTERS])
    facts = size(info.size_bytes), timestamp(info.created_ns), kind(info), sha256
    return str(info.version_number), *facts, pairs(info.metadata)
