"""
Protobuf messages to and from values.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from twisted_registry.errors import InvalidRequest
from twisted_registry.protocol.messages import api
from twisted_registry.values import MAX_USER_DATA_BYTES, ModelInfo, VersionHeader, VersionInfo, check_model_id

M = TypeVar("M", bound=Message)

_SHORT_BYTES = 1024


def parse(message_class: type[M], raw: bytes) -> M:
    """
    Read a message.

    @raise InvalidRequest: the bytes are no such message.
    """
    try:
        return message_class.FromString(raw)
    except DecodeError:
        raise InvalidRequest(f"the bytes sent are no {message_class.DESCRIPTOR.full_name}") from None


def _checked_user_data(user_data: Mapping[str, str]) -> dict[str, str]:
    checked = dict(user_data)
    size_bytes = api.ModelInfo(user_data=checked).ByteSize()
    if size_bytes > MAX_USER_DATA_BYTES:
        raise InvalidRequest(
            f"the user data has {size_bytes} bytes encoded; at most {MAX_USER_DATA_BYTES} are allowed: "
            "keep large things as versions"
        )
    return checked


def model_to_save(raw: bytes) -> ModelInfo:
    """
    Read a C{CreateOrUpdateModelRequest}.

    @raise InvalidRequest: it is none, or it has no model_info, or too much user data.
    @raise InvalidModelId: the model's id is not allowed.
    """
    request = parse(api.CreateOrUpdateModelRequest, raw)
    if not request.HasField("model_info"):
        raise InvalidRequest("the request has no model_info; set it, with a model_id")
    info = request.model_info
    return ModelInfo(check_model_id(info.model_id), _checked_user_data(info.user_data))


def version_header(raw: bytes) -> VersionHeader:
    """
    Read the first message of a C{CreateVersion} stream.

    @raise InvalidRequest: it is no header with a version_info, or it has too much user data.
    """
    chunk = parse(api.CreateVersionRequestChunk, raw)
    if chunk.WhichOneof("msg") != "header" or not chunk.header.HasField("version_info"):
        raise InvalidRequest("the first message of the stream must be a header with a version_info")
    info = chunk.header.version_info
    return VersionHeader(
        model_id=info.model_id,
        archived=info.archived,
        size_bytes=info.data_size,
        data_hash=info.data_hash,
        created_ns=info.creation_timestamp,
        user_data=_checked_user_data(info.user_data),
    )


def data_asked(raw: bytes) -> tuple[str, int]:
    """
    Read a C{RetrieveVersionDataRequest}: a model's id and a selector.

    @raise InvalidRequest: it is none.
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
    return api.ModelInfo(model_id=info.model_id, user_data=info.user_data)


def version_message(info: VersionInfo) -> "api.ModelVersionInfo":
    """
    Write a version's info.
    """
    return api.ModelVersionInfo(
        model_id=info.model_id,
        version_number=info.version_number,
        creation_timestamp=info.created_ns,
        archived=info.archived,
        data_hash=info.data_hash,
        data_size=info.size_bytes,
        user_data=info.user_data,
    )
