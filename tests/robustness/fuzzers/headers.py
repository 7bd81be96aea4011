"""
Requests: the first message of an upload, and that which makes a model.
"""

from typing import Any

from google.protobuf.message import DecodeError

from twisted_registry.domain.errors import InvalidModelId, InvalidRequest
from twisted_registry.domain.models import MAX_MODEL_ID_BYTES, MAX_USER_DATA_BYTES
from twisted_registry.protocol.messages import SERVICE, api, common
from twisted_registry.rpc.parsing import parse
from twisted_registry.rpc.services.cogment.codec import model_to_save, version_header

_CLASSES: list[Any] = [
    getattr(api, method.input_type.name, None) or getattr(common, method.input_type.name) for method in SERVICE.methods
]
_INFO = api.ModelVersionInfo(
    model_id="m", data_size=2**64 - 1, archived=True, creation_timestamp=7, data_hash="x", user_data={"a": "="}
)
_HEADER = api.CreateVersionRequestChunk.Header

SEEDS = [
    api.CreateVersionRequestChunk(header=_HEADER(version_info=_INFO)).SerializeToString(),
    api.CreateVersionRequestChunk(header=_HEADER()).SerializeToString(),
    api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id="m", user_data={"": "x"})).SerializeToString(),
    api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id="\x85")).SerializeToString(),
    api.RetrieveVersionInfosRequest(model_id="m", version_numbers=[-1, 2], version_handle="1").SerializeToString(),
    b"\x0a\x02\xff\xfe",
    b"\x0a\x0f\x0a\x0d\x3a\x0b\x0a\x02\xc3\x28\x12\x05abcde",
    b"\x0b\x08\x01\x0c",
]


def _by_protobuf(message_class: Any, raw: bytes) -> Any:
    try:
        return message_class.FromString(raw)
    except DecodeError:
        return None


def _check_header(raw: bytes) -> None:
    chunk = _by_protobuf(api.CreateVersionRequestChunk, raw)
    good = chunk is not None and chunk.WhichOneof("msg") == "header" and chunk.header.HasField("version_info")
    try:
        header = version_header(raw)
    except InvalidRequest as error:
        too_much = (
            good and api.ModelInfo(user_data=chunk.header.version_info.user_data).ByteSize() > MAX_USER_DATA_BYTES
        )
        assert (not good or too_much) and str(error)
        return
    assert good
    info = chunk.header.version_info
    assert (header.model_id, header.archived, header.size_bytes) == (info.model_id, info.archived, info.data_size)
    assert (header.sha256, header.created_ns) == (info.data_hash, info.creation_timestamp)
    assert header.metadata == dict(info.user_data)


def _is_control(character: str) -> bool:
    return ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0


def _check_model(raw: bytes) -> None:
    request = _by_protobuf(api.CreateOrUpdateModelRequest, raw)
    model_id = request.model_info.model_id if request is not None and request.HasField("model_info") else ""
    good = 0 < len(model_id.encode()) <= MAX_MODEL_ID_BYTES and not any(map(_is_control, model_id))
    try:
        info = model_to_save(raw)
    except (InvalidRequest, InvalidModelId) as error:
        assert not good and 0 < len(str(error).encode()) <= 1024
        return
    assert good and (info.model_id, info.metadata) == (model_id, dict(request.model_info.user_data))


def test_one_input(data: bytes) -> None:
    """
    Check that what protobuf reads is read, with all its fields, and that everything else is the client's fault.
    """
    _check_header(data)
    _check_model(data)
    for message_class in _CLASSES:
        expected = _by_protobuf(message_class, data)
        try:
            assert parse(message_class, data) == expected
        except InvalidRequest as error:
            assert expected is None and str(error)
