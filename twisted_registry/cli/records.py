"""
Versions with their labels, metrics and aliases, and the moves of aliases: how they are read, printed and written as
JSON.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted_registry.cli.output import print_line, print_object, print_version, version_object
from twisted_registry.cli.references import harmless_reference
from twisted_registry.cli.text import exact_timestamp, harmless, pairs
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient


def read_record(client: "BlockingClient", reference: Reference) -> VersionRecord:
    """
    Return the version that a reference names; the latest, if it names a model.

    A registry that serves only cogmentAPI has no labels, metrics and aliases.

    Raises:
        RegistryError: the registry refuses it, or cannot be reached.
    """
    # Imported late: it imports gRPC.
    from twisted_registry.client.errors import Unsupported

    try:
        return client.get(str(reference))
    except Unsupported:
        return VersionRecord(client.version(reference.model_id, reference.version))


def read_info(client: "BlockingClient", reference: Reference) -> VersionInfo:
    """
    Return the version that a reference names, without its labels, metrics and aliases.

    Only an alias needs more than cogmentAPI.

    Raises:
        RegistryError: the registry refuses it, or cannot be reached.
    """
    if reference.alias is not None:
        return read_record(client, reference).info
    return client.version(reference.model_id, reference.version)


def read_aliases(client: "BlockingClient", model_id: str) -> dict[str, int]:
    """
    Return the numbers that the aliases of a model name; none on a registry that serves only cogmentAPI.

    Raises:
        RegistryError: the registry refuses it, or cannot be reached.
    """
    from twisted_registry.client.errors import Unsupported

    try:
        return {alias: move.to_number for alias, move in client.aliases(model_id).items()}
    except Unsupported:
        return {}


def record_object(record: VersionRecord) -> dict[str, Any]:
    """
    Return a version with its labels, metrics and aliases as a JSON object.
    """
    return {
        **version_object(record.info),
        "labels": dict(record.labels),
        "metrics": {name: _json_number(value) for name, value in record.metrics.items()},
        "aliases": list(record.aliases),
    }


def _json_number(value: float) -> float | str:
    # JSON has no infinite numbers; ProtoJSON writes them as these texts, too.
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def number_text(value: float) -> str:
    """
    Return a metric as text, in as few digits as represent it exactly.
    """
    return str(_json_number(value)).removesuffix(".0")


def metric_pairs(metrics: Mapping[str, float]) -> str:
    """
    Return metrics as ``NAME=NUMBER NAME=NUMBER``, ordered by name.
    """
    return " ".join(f"{harmless(name)}={number_text(value)}" for name, value in sorted(metrics.items()))


def print_record(record: VersionRecord, as_json: bool) -> None:
    """
    Print a version as a line.
    """
    if as_json:
        print_object(record_object(record))
    else:
        print_version(record.info, as_json=False)


def print_annotations(record: VersionRecord, as_json: bool) -> None:
    """
    Print a version's labels and metrics, as they are now, as a line.
    """
    if as_json:
        print_object(record_object(record))
    else:
        name = harmless_reference(record.info.model_id, record.number)
        shown = (pairs(record.labels), metric_pairs(record.metrics))
        print_line("  ".join([name, *filter(None, shown)]))


def alias_name(model_id: str, alias: str) -> str:
    """
    Return the reference of an alias for people, without control characters.
    """
    return harmless(str(Reference(model_id, alias=alias)))


def move_object(model_id: str, move: AliasMove) -> dict[str, Any]:
    """
    Return a move of an alias as a JSON object.
    """
    return {
        "model_id": model_id,
        "alias": move.alias,
        "from_number": move.from_number or None,
        "to_number": move.to_number or None,
        "moved": exact_timestamp(move.moved_ns),
        "moved_ns": move.moved_ns,
        "actor": move.actor or None,
        "reason": move.reason or None,
        "sequence": move.sequence,
    }


def print_move(model_id: str, move: AliasMove, as_json: bool) -> None:
    """
    Print the move that was just made as a line.
    """
    if as_json:
        print_object(move_object(model_id, move))
        return
    before = f"before, it named version {move.from_number}" if move.from_number else "it is new"
    if move.from_number == move.to_number:
        before = "as before"
    print_line(f"{alias_name(model_id, move.alias)} names version {move.to_number} ({before})")
