"""
Replies of ``twisted_registry.v1`` as values, each checked against the request.
"""

from base64 import b64encode
from math import isnan
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from twisted_registry.client._transport.replies import MOST_DATA_BYTES, bad_reply
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.errors import shown
from twisted_registry.domain.models import MAX_VERSION_NUMBER, VersionInfo
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.protocol.messages import v1

_SHA256_BYTES = 32


def time_ns(message: Timestamp) -> int:
    """
    Return a time in nanoseconds since the Unix epoch.
    """
    return message.seconds * 1_000_000_000 + message.nanos


def version_record(message: "v1.Version", model_id: str, number: int | None = None) -> VersionRecord:
    """
    Return a version's record.

    Args:
        message: the version as it was sent.
        model_id: the model that was asked for.
        number: the number, or the selector, that was asked for; ``None`` for any.

    Raises:
        BadReply: it is about another version, or has impossible values.
    """
    if message.model_id != model_id or (number is not None and message.number != number > 0):
        raise bad_reply(f"it sent version {message.number} of model {shown(message.model_id)}", model_id, number)
    check_number(message.number, model_id, number)
    if len(message.sha256) != _SHA256_BYTES or message.size_bytes > MOST_DATA_BYTES:
        sizes = f"a size of {message.size_bytes} bytes and a SHA-256 of {len(message.sha256)} bytes"
        raise bad_reply(f"it sent {sizes}", model_id, number)
    created_ns = time_ns(message.create_time)
    if created_ns < 0:
        raise bad_reply(f"it sent the time of creation {created_ns}", model_id, number)
    if any(map(isnan, message.metrics.values())):
        raise bad_reply("it sent a metric that is not a number", model_id, number)
    info = VersionInfo(
        model_id=model_id,
        version_number=message.number,
        created_ns=created_ns,
        archived=message.archived,
        sha256=b64encode(message.sha256).decode(),
        size_bytes=message.size_bytes,
        metadata=dict(message.metadata),
        created_by=message.created_by,
    )
    return VersionRecord(info, Annotations(dict(message.labels), dict(message.metrics)), tuple(message.aliases))


def model_record(message: "v1.Model", model_id: str = "") -> ModelRecord:
    """
    Return a model's record.

    Args:
        message: the model as it was sent.
        model_id: the model that was asked for; empty for any.

    Raises:
        BadReply: it is about another model, or has impossible values.
    """
    found = message.model_id
    if model_id and found != model_id:
        raise bad_reply(f"it sent model {shown(found)}", model_id)
    if not found:
        raise bad_reply("it sent a model without an id", model_id)
    numbers = (message.latest_number, *message.aliases.values())
    if max(numbers) > MAX_VERSION_NUMBER or message.archived_count > message.version_count:
        raise bad_reply("it sent impossible numbers", found)
    return ModelRecord(
        found,
        dict(message.metadata),
        message.latest_number,
        message.version_count,
        message.archived_count,
        dict(message.aliases),
        message.etag,
    )


def alias_move(message: "v1.AliasEvent", model_id: str, alias: str = "") -> AliasMove:
    """
    Return the move of an alias.

    Args:
        message: the move as it was sent.
        model_id: the model that was asked for.
        alias: the alias that was asked for; empty for any.

    Raises:
        BadReply: it is about another alias, or has impossible values.
    """
    found, numbers = message.alias, (message.from_number, message.to_number)
    if message.model_id != model_id or not found or alias not in ("", found):
        raise bad_reply(f"it sent a move of alias {shown(found)} of model {shown(message.model_id)}", model_id)
    if not 1 <= max(numbers) <= MAX_VERSION_NUMBER or not message.sequence:
        problem = f"it sent move {message.sequence} of alias {shown(found)} from {numbers[0]} to {numbers[1]}"
        raise bad_reply(problem, model_id)
    moved_ns = time_ns(message.move_time)
    return AliasMove(found, *numbers, moved_ns, message.actor, message.reason, message.sequence)


def current_move(message: "v1.Alias", model_id: str, alias: str = "") -> AliasMove:
    """
    Return the move that pointed an alias at its current version.  See ``alias_move`` for the arguments and errors.
    """
    move = alias_move(message.move, model_id, alias)
    said: tuple[Any, ...] = (message.model_id, message.alias, message.number)
    if said != (model_id, move.alias, move.to_number) or not move.to_number:
        raise bad_reply(f"it sent alias {shown(message.alias)} with a move to version {move.to_number}", model_id)
    return move


def check_number(found: int, model_id: str, selector: int | None = None) -> None:
    """
    Check the number of a version.

    Raises:
        BadReply: no version can have it.
    """
    if not 1 <= found <= MAX_VERSION_NUMBER:
        raise bad_reply(f"it sent a version with the number {found}", model_id, selector)
