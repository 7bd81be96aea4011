"""
Versions with their labels, metrics and aliases, and the moves of aliases: how they are read, printed and written as
JSON.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from twisted_registry.cli.output import kind, print_line, print_object, print_table, print_version, version_object
from twisted_registry.cli.references import harmless_reference
from twisted_registry.cli.text import age, exact_timestamp, harmless, harmless_line, pairs, size, timestamp
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HASH_CHARACTERS = 12


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
        "created_by": record.created_by or None,
    }


def model_record_object(record: ModelRecord) -> dict[str, Any]:
    """
    Return a model with what is known of its versions as a JSON object.
    """
    return {
        "model_id": record.model_id,
        "user_data": dict(record.metadata),
        "latest_number": record.latest_number or None,
        "versions": record.version_count,
        "archived": record.archived_count,
        "aliases": dict(record.aliases),
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


HISTORY_HEADS = (">VERSION", ">SIZE", "CREATED", "KIND", "HASH", "METADATA", "?ALIASES")
SEARCH_HEADS = (">VERSION", ">SIZE", ">AGE", "KIND", "?ALIASES", "?METRICS", "?LABELS")


def history_cells(record: VersionRecord) -> Sequence[str]:
    """
    Return a version's row below ``HISTORY_HEADS``: what was fixed when it was created.
    """
    sha256 = harmless_line(record.sha256[:_HASH_CHARACTERS])
    facts = size(record.size_bytes), timestamp(record.created_ns), kind(record.info), sha256
    return str(record.number), *facts, pairs(record.metadata), _aliases(record)


def search_cells(record: VersionRecord) -> Sequence[str]:
    """
    Return a version's row below ``SEARCH_HEADS``: what was added to it since it was created.
    """
    facts = size(record.size_bytes), age(record.created_ns), kind(record.info), _aliases(record)
    return str(record.number), *facts, metric_pairs(record.metrics), pairs(record.labels)


def print_search(records: Iterable[VersionRecord], limit: int | None, as_json: bool) -> None:
    """
    Print versions that were found.

    Args:
        limit: the most versions to print; ``None`` for all.
    """
    found = islice(records, limit)
    if as_json:
        for record in found:
            print_object(record_object(record))
    else:
        print_table(SEARCH_HEADS, map(search_cells, found))


def _aliases(record: VersionRecord) -> str:
    return " ".join(map(harmless, record.aliases))


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
