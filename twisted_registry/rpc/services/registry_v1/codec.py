"""
The messages of ``twisted_registry.v1`` to values, and values to messages.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from twisted_registry.application.event_feed import EventFilter, FeedEvent
from twisted_registry.application.models import ModelUpdate, etag_of
from twisted_registry.application.validation import checked_metadata
from twisted_registry.contracts.tracing import ITracer
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import Annotations, AnnotationUpdate
from twisted_registry.domain.errors import InvalidRequest, shown
from twisted_registry.domain.events import (
    KINDS,
    AliasChanged,
    Event,
    ModelDeleted,
    ModelSaved,
    VersionAnnotated,
    VersionArchived,
    VersionCommitted,
    VersionDeleted,
    VersionEvicted,
    kind_of,
)
from twisted_registry.domain.models import ModelInfo, VersionHeader, VersionInfo
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.messages import v1

_SHA256_BYTES = 32
_MAX_TIMESTAMP_NS = 253_402_300_799_999_999_999
"""The end of the year 9999, the last time that a ``google.protobuf.Timestamp`` may have."""

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


# Requests


def reference(text: str) -> Reference:
    """
    Read a reference.

    Raises:
        InvalidRequest: it is empty, or not a reference.
        InvalidModelId: it names a model that cannot exist.
    """
    if not text:
        raise InvalidRequest("the request has no reference; set it, such as 'walker@3' or 'walker@latest'")
    return Reference.parse(text)


def page_size(value: int) -> int:
    """
    Return how many entries a page may have; more than 1000 count as 1000, as AIP-158 says.

    Raises:
        InvalidRequest: it is negative.
    """
    if value < 0:
        raise InvalidRequest(f"a page_size of {value} is negative; leave it out, or use 1 to {MAX_PAGE_SIZE}")
    return min(value or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def skip(value: int) -> int:
    """
    Return how many entries of a list to leave out.

    Raises:
        InvalidRequest: it is negative.
    """
    if value < 0:
        raise InvalidRequest(f"a skip of {value} is negative; leave it out, or use 0 or more")
    return value


def expected_number(request: Any) -> int | None:
    """
    Return the number that an alias must name now; ``None`` if the request does not say.
    """
    return request.expected_number if request.HasField("expected_number") else None


def sha256_text(sha256: bytes) -> str:
    """
    Return a SHA-256 in standard base64; empty if it is not given.

    Raises:
        InvalidRequest: it has a wrong length.
    """
    if len(sha256) not in (0, _SHA256_BYTES):
        raise InvalidRequest(f"the sha256 has {len(sha256)} bytes instead of {_SHA256_BYTES}; send the raw digest")
    return b64encode(sha256).decode()


def version_header(header: Any) -> VersionHeader:
    """
    Read the header of a creation.

    Raises:
        InvalidRequest: it has too much metadata, or a sha256 of the wrong length.
    """
    return VersionHeader(
        model_id=header.model_id,
        archived=header.archived,
        size_bytes=header.size_bytes,
        sha256=sha256_text(header.sha256),
        metadata=checked_metadata(header.metadata),
    )


def version_facts(info: VersionInfo) -> Mapping[str, Any]:
    """
    Return the facts of a version for the audit log.
    """
    return {"version_number": info.version_number, "size_bytes": info.size_bytes, "sha256": info.sha256}


def model_to_create(request: Any) -> ModelInfo:
    """
    Read a ``CreateModelRequest``.

    Raises:
        InvalidRequest: it has too much metadata.
    """
    return ModelInfo(request.model.model_id, checked_metadata(request.model.metadata))


def model_update(request: Any) -> ModelUpdate:
    """
    Read an ``UpdateModelRequest``.

    Raises:
        InvalidRequest: it has too much metadata.
    """
    given = request.model
    metadata = checked_metadata(given.metadata)
    return ModelUpdate(given.model_id, metadata, tuple(request.update_mask.paths), given.etag)


def annotations_update(request: Any) -> AnnotationUpdate:
    """
    Read an ``UpdateVersionRequest``.

    Raises:
        InvalidRequest: the mask or the annotations are not allowed.
    """
    given = Annotations(dict(request.version.labels), dict(request.version.metrics))
    return AnnotationUpdate.from_mask(given, list(request.update_mask.paths))


# Values


def model(record: ModelRecord) -> Any:
    """
    Return a model as a message.
    """
    return v1.Model(
        model_id=record.model_id,
        metadata=record.metadata,
        etag=etag_of(record.metadata),
        latest_number=record.latest_number,
        version_count=record.version_count,
        archived_count=record.archived_count,
        aliases=record.aliases,
    )


def version(record: VersionRecord) -> Any:
    """
    Return a version as a message.
    """
    return _version(record.info, record.labels, record.metrics, record.aliases)


def _version(
    info: VersionInfo, labels: Mapping[str, str], metrics: Mapping[str, float], aliases: Iterable[str] = ()
) -> Any:
    message = v1.Version(
        model_id=info.model_id,
        number=info.version_number,
        archived=info.archived,
        sha256=b64decode(info.sha256),
        size_bytes=info.size_bytes,
        metadata=info.metadata,
        labels=labels,
        metrics=metrics,
        aliases=aliases,
        created_by=info.created_by,
    )
    # cogmentAPI takes later times than a Timestamp can hold.
    message.create_time.FromNanoseconds(min(info.created_ns, _MAX_TIMESTAMP_NS))
    return message


def alias(model_id: str, move: AliasMove) -> Any:
    """
    Return an alias as a message.
    """
    return v1.Alias(model_id=model_id, alias=move.alias, number=move.to_number, move=alias_event(model_id, move))


def alias_event(model_id: str, move: AliasMove) -> Any:
    """
    Return the move of an alias as a message.
    """
    message = v1.AliasEvent(
        model_id=model_id,
        alias=move.alias,
        sequence=move.sequence,
        from_number=move.from_number,
        to_number=move.to_number,
        actor=move.actor,
        reason=move.reason,
    )
    message.move_time.FromNanoseconds(move.moved_ns)
    return message


# Events


def event_filter(request: Any) -> EventFilter:
    """
    Read which events a client watches.

    Raises:
        InvalidRequest: there is no such kind of event, or the request names both a model and a prefix.
    """
    if request.model_id and request.prefix:
        raise InvalidRequest("the request names both a model and a prefix; set model_id, or prefix")
    for kind in request.kinds:
        if kind not in KINDS:
            raise InvalidRequest(f"there are no events of kind {shown(kind)}; the kinds are {', '.join(sorted(KINDS))}")
    return EventFilter(request.model_id, request.prefix, frozenset(request.kinds))


def started(cursor: str, now_ns: int) -> bytes:
    """
    Return the first message of a watch.
    """
    message = v1.Event(cursor=cursor, started=v1.Started())
    message.time.FromNanoseconds(now_ns)
    return message.SerializeToString()


def checkpoint(cursor: str, now_ns: int) -> bytes:
    """
    Return the message that brings a new cursor, and no event.
    """
    message = v1.Event(cursor=cursor, checkpoint=v1.Checkpoint())
    message.time.FromNanoseconds(now_ns)
    return message.SerializeToString()


def event_message(entry: FeedEvent, tracer: ITracer | None = None) -> bytes:
    """
    Return an event as a message, made once for all clients.

    Args:
        tracer: knows in which context a version was created; ``None`` for no traces.
    """
    if not entry.encoded:
        kind = kind_of(entry.event)
        message = v1.Event(cursor=entry.cursor, model_id=entry.event.model_id, **{kind: _content(entry.event)})
        if tracer is not None and isinstance(entry.event, VersionCommitted):
            message.traceparent = tracer.creation_of(entry.event.info)
        message.time.FromNanoseconds(entry.happened_ns)
        entry.encoded = message.SerializeToString()
    return entry.encoded


def created_number(entry: FeedEvent) -> int:
    """
    Return the number of the version that an event says was created; 0 for other events.
    """
    return entry.event.info.version_number if isinstance(entry.event, VersionCommitted) else 0


def _content(event: Event) -> Any:
    match event:
        case VersionCommitted() | VersionArchived() | VersionAnnotated():
            return _version(event.info, event.annotations.labels, event.annotations.metrics)
        case VersionDeleted() | VersionEvicted():
            return v1.VersionRemoved(
                number=event.key.version_number, size_bytes=event.size_bytes, was_latest=event.is_latest
            )
        case AliasChanged():
            return alias_event(event.model_id, event.move)
        case ModelSaved():
            return v1.Model(model_id=event.model_id, metadata=event.info.metadata)
        case ModelDeleted():
            return v1.ModelRemoved(lost=event.is_lost)
    raise TypeError(f"clients do not watch {event!r}")
