"""
Protobuf messages to and from values.
"""

import asyncio
from functools import lru_cache
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from twisted_registry.domain.errors import InvalidRequest, TooLarge
from twisted_registry.domain.models import (
    MAX_ENTRIES,
    MAX_USER_DATA_BYTES,
    ModelInfo,
    VersionHeader,
    VersionInfo,
    check_model_id,
)
from twisted_registry.protocol.limits import REQUEST_MAX_BYTES
from twisted_registry.protocol.messages import api

M = TypeVar("M", bound=Message)

_SHORT_BYTES = 1024

_SAFE_BYTES = 64 * 1024
"""A message as long as this has too few fields to hold anybody up."""

_FIELDS_AT_ONCE = 2048
_ID_TAG = 0x0A
"""The ``model_ids`` of a ``RetrieveModelsRequest``."""

_WITH_USER_DATA = (api.CreateOrUpdateModelRequest, api.CreateVersionRequestChunk)
"""Messages that are as long as their user data, of which too much is never taken."""

_LEAST_PAIR_BYTES = 6
"""A pair of user data, encoded: a tag and a length, for itself, for its key and for its value."""


def parse(message_class: type[M], raw: bytes, most_bytes: int = REQUEST_MAX_BYTES) -> M:
    """
    Read a message, if it is not too long: reading holds up all other calls.

    Raises:
        TooLarge: it has more bytes than allowed.
        InvalidRequest: the bytes are no such message; or they are too many where that is due to user data.
    """
    if len(raw) > most_bytes:
        reason = f"the {message_class.DESCRIPTOR.name} has {len(raw)} bytes; at most {most_bytes} are taken"
        if message_class in _WITH_USER_DATA:
            raise InvalidRequest(
                f"{reason}, with at most {MAX_USER_DATA_BYTES} of user data: keep large things as versions"
            )
        raise TooLarge(f"{reason}: ask for less in one call")
    try:
        return message_class.FromString(raw)
    except DecodeError:
        raise InvalidRequest(f"the bytes sent are no {message_class.DESCRIPTOR.full_name}") from None


async def parse_long(message_class: type[M], raw: bytes, most_bytes: int) -> M:
    """
    Read a message that may be long, if it has not too many fields: millions would take a second and hundreds of
    megabytes.  They are counted a few at a time.

    Raises:
        TooLarge: it has more bytes, or more fields, than allowed.
        InvalidRequest: the bytes are no such message.
    """
    if _SAFE_BYTES < len(raw) <= most_bytes:
        position = fields = 0
        while position < len(raw):
            position = _after_fields(raw, position)
            fields += _FIELDS_AT_ONCE
            if fields > MAX_ENTRIES + _FIELDS_AT_ONCE:
                raise TooLarge(
                    f"the request names more than {MAX_ENTRIES} entries; ask for at most {MAX_ENTRIES} in one call"
                )
            await asyncio.sleep(0)
    return parse(message_class, raw, most_bytes)


def _after_fields(raw: bytes, position: int) -> int:
    """
    Skip a few fields of a message.

    Returns:
        where the next one begins, or the end of the bytes; also where they are no message.
    """
    end = len(raw)
    for _ in range(_FIELDS_AT_ONCE):
        if position >= end:
            break
        # Nearly always a tag and a length of a byte each.
        if position + 1 < end and raw[position] == _ID_TAG and raw[position + 1] < 0x80:
            position += 2 + raw[position + 1]
            continue
        tag, position = _varint(raw, position)
        kind = tag & 7
        if kind == 0:
            _, position = _varint(raw, position)
        elif kind == 1:
            position += 8
        elif kind == 2:
            length, position = _varint(raw, position)
            position += length
        elif kind == 5:
            position += 4
    return min(position, end)


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(raw[position : position + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, position + shift + 1
    return value, len(raw)


def _checked_metadata(info: "api.ModelInfo | api.ModelVersionInfo") -> dict[str, str]:
    size_bytes = _LEAST_PAIR_BYTES * len(info.user_data)
    if size_bytes <= MAX_USER_DATA_BYTES:
        size_bytes = api.ModelInfo(user_data=info.user_data).ByteSize()
    if size_bytes > MAX_USER_DATA_BYTES:
        raise InvalidRequest(
            f"the user data has {size_bytes} bytes encoded; at most {MAX_USER_DATA_BYTES} are allowed: "
            "keep large things as versions"
        )
    return dict(info.user_data)


def model_to_save(raw: bytes) -> ModelInfo:
    """
    Read a ``CreateOrUpdateModelRequest``.

    Raises:
        InvalidRequest: it is none, or it has no model_info, or too much user data.
        InvalidModelId: the model's id is not allowed.
    """
    request = parse(api.CreateOrUpdateModelRequest, raw)
    if not request.HasField("model_info"):
        raise InvalidRequest("the request has no model_info; set it, with a model_id")
    info = request.model_info
    return ModelInfo(check_model_id(info.model_id), _checked_metadata(info))


def version_header(raw: bytes) -> VersionHeader:
    """
    Read the first message of a ``CreateVersion`` stream.

    Raises:
        InvalidRequest: it is no header with a version_info, or it has too much user data.
    """
    chunk = parse(api.CreateVersionRequestChunk, raw)
    if chunk.WhichOneof("msg") != "header" or not chunk.header.HasField("version_info"):
        raise InvalidRequest("the first message of the stream must be a header with a version_info")
    info = chunk.header.version_info
    return VersionHeader(
        model_id=info.model_id,
        archived=info.archived,
        size_bytes=info.data_size,
        sha256=info.data_hash,
        created_ns=info.creation_timestamp,
        metadata=_checked_metadata(info),
    )


def data_asked(raw: bytes) -> tuple[str, int]:
    """
    Read a ``RetrieveVersionDataRequest``: a model's id and a selector.

    Raises:
        InvalidRequest: it is none.
    """
    return _short_data_asked(raw) if len(raw) <= _SHORT_BYTES else _data_asked(raw)


def _data_asked(raw: bytes) -> tuple[str, int]:
    request = parse(api.RetrieveVersionDataRequest, raw)
    return request.model_id, request.version_number


# Hundreds of actors ask the same at once.
_short_data_asked = lru_cache(maxsize=256)(_data_asked)


def model_message(info: ModelInfo) -> "api.ModelInfo":
    """
    Write a model's info.
    """
    return api.ModelInfo(model_id=info.model_id, user_data=info.metadata)


def version_message(info: VersionInfo) -> "api.ModelVersionInfo":
    """
    Write a version's info.
    """
    return api.ModelVersionInfo(
        model_id=info.model_id,
        version_number=info.version_number,
        creation_timestamp=info.created_ns,
        archived=info.archived,
        data_hash=info.sha256,
        data_size=info.size_bytes,
        user_data=info.metadata,
    )
