"""
Messages: events as destinations get them.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID, uuid4, uuid5

from attrs import frozen

from twisted_registry.deliveries.destinations import type_of
from twisted_registry.domain.events import (
    AliasChanged,
    Event,
    ModelDeleted,
    ModelSaved,
    VersionAnnotated,
    VersionArchived,
    VersionCommitted,
    VersionDeleted,
    kind_of,
)

_EVENT_BYTES = 1000


@frozen
class Happened:
    """
    An event, and when it happened.

    Attributes:
        happened_ns: time in nanoseconds since the Unix epoch.
    """

    event: Event
    happened_ns: int


@frozen
class Message:
    """
    An event for one destination.

    Attributes:
        sequence: counts the messages of a journal.
        message_id: the same for all attempts and all destinations.
        body: the JSON.
        attempts: how often it was tried.
        recorded_ns: when it was recorded, in nanoseconds since the Unix epoch.
    """

    sequence: int
    message_id: str
    body: bytes
    attempts: int
    recorded_ns: int


def size_bytes(event: Event) -> int:
    """
    Return the approximate memory for an event.
    """
    texts: Mapping[str, str] = {}
    match event:
        case VersionCommitted(info=info) | VersionArchived(info=info) | VersionAnnotated(info=info):
            texts = info.metadata
        case ModelSaved(info=model):
            texts = model.metadata
    return _EVENT_BYTES + 2 * sum(len(key) + len(value) for key, value in texts.items())


def message_id(event: Event, epoch: UUID) -> str:
    """
    Return the id of an event's message.  If the event leaves something in the archive, the id follows from that, so
    that it is the same if the event is found there again.

    Args:
        epoch: tells the model from others with the same id.
    """
    match event:
        case VersionCommitted(info=info) if info.archived:
            name = f"created {info.version_number}"
        case VersionArchived(info=info):
            name = f"archived {info.version_number}"
        case VersionDeleted(key=key):
            name = f"deleted {key.version_number}"
        case AliasChanged(move=move):
            name = f"moved {move.sequence}"
        case ModelSaved(is_new=True):
            name = "model created"
        case ModelDeleted():
            name = "model deleted"
        case _:
            return f"msg_{uuid4().hex}"
    return f"msg_{uuid5(epoch, name).hex}"


def message_body(event: Event, happened_ns: int, data: str) -> bytes:
    """
    Return an event as Standard Webhooks has it.

    Args:
        data: the event in JSON, on one line.
    """
    seconds, rest_ns = divmod(happened_ns, 10**9)
    time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    start = json.dumps({"type": type_of(kind_of(event)), "timestamp": f"{time}.{rest_ns // 1000:06d}Z"})
    return f'{start[:-1]}, "data": {data}}}'.encode()
