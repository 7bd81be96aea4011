"""
Events as lines for people, and as JSON.
"""

from typing import TYPE_CHECKING, Any

from twisted_registry.cli.output import kind
from twisted_registry.cli.records import alias_name, metric_pairs, move_object, record_object
from twisted_registry.cli.references import harmless_reference
from twisted_registry.cli.text import exact_timestamp, harmless, harmless_id, pairs, size, timestamp
from twisted_registry.domain.records import VersionRecord

if TYPE_CHECKING:
    from twisted_registry.client import Event

_STARTED = "started"


def event_object(event: "Event") -> dict[str, Any]:
    """
    Return an event as a JSON object, with what it is about below the key that is named after it.
    """
    fields: dict[str, Any] = {
        "kind": event.kind,
        "cursor": event.cursor,
        "happened": exact_timestamp(event.happened_ns),
        "happened_ns": event.happened_ns,
        "model_id": event.model_id or None,
    }
    if event.version is not None:
        fields["version"] = _version_object(event.version)
    if event.removed is not None:
        removed = event.removed
        fields["removed"] = {
            "version_number": removed.number,
            "size_bytes": removed.size_bytes,
            "was_latest": removed.was_latest,
        }
    if event.move is not None:
        fields["move"] = move_object(event.model_id, event.move)
    if event.model is not None:
        fields["model"] = {"model_id": event.model.model_id, "user_data": dict(event.model.metadata)}
    if event.kind == "model_deleted":
        fields["lost"] = event.is_lost
    return fields


def _version_object(record: VersionRecord) -> dict[str, Any]:
    # An event does not know the aliases, and an empty list would be wrong.
    return {name: value for name, value in record_object(record).items() if name != "aliases"}


def event_text(event: "Event") -> str:
    """
    Return an event as a line; nothing for the start of the stream.
    """
    if event.kind == _STARTED:
        return ""
    cells = [timestamp(event.happened_ns), _subject(event), event.kind.partition("_")[2], *_details(event)]
    return "  ".join(filter(None, cells))


def _subject(event: "Event") -> str:
    number = event.version.number if event.version else event.removed.number if event.removed else 0
    if event.move is not None:
        return alias_name(event.model_id, event.move.alias)
    return harmless_reference(event.model_id, number) if number else harmless_id(event.model_id)


def _details(event: "Event") -> list[str]:
    if event.version is not None:
        info = event.version.info
        added = pairs(event.version.labels), metric_pairs(event.version.metrics)
        return [size(info.size_bytes), kind(info), *added]
    if event.removed is not None:
        return [size(event.removed.size_bytes), "was the latest" if event.removed.was_latest else ""]
    if event.move is not None:
        reason = event.move.reason
        return [f"{event.move.from_number or '-'} -> {event.move.to_number or '-'}", harmless(reason) if reason else ""]
    if event.model is not None:
        return [pairs(event.model.metadata)]
    return ["its folder disappeared" if event.is_lost else ""]
