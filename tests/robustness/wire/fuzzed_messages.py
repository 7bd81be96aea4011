"""
Messages that no well-meaning client sends: valid ones with something done to them, and plain noise.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from twisted_registry.protocol.messages import SERVICE, api, common

TARGET = "target"
"""The model that valid messages name."""

_MOST_BYTES = 4096
_DEEP = b"".join(b"\x7a" + bytes([length]) for length in range(120, 2, -2))
_ODD_PIECES = [
    b"\xff" * 9 + b"\x01",  # the largest varint
    b"\xff" * 11,  # a varint without an end
    b"\x80" * 9 + b"\x00",  # a long way to write 0
    b"\x0a\xff\xff\xff\xff\x0f",  # 4 GiB
    b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # more than there is
    b"\x0b",  # a group begins
    b"\x0c",  # and ends
    b"\x0b" * 120,  # groups in groups
    b"\x0b\x08\x01\x0c",  # a whole group
    b"\x00",  # field 0
    b"\x07",  # a wire type there is not
    b"\xfa\x3f\x03abc\xf8\x3f\x07",  # fields of a later day
    b"\xfa\xff\xff\xff\x7f\x00",  # the largest field number there is, and then some
    b"\x0a\x02\xff\xfe",  # no UTF-8
    b"\x0a\x03\xed\xa0\x80",  # half a surrogate pair
    b"\x0a\x00",
    b"\x12\x00",
    b"\x0a\x01\x00",
    _DEEP,
]


def _infos() -> list[bytes]:
    request = api.RetrieveVersionInfosRequest
    requests = [
        request(model_id=TARGET),
        request(model_id=TARGET, version_numbers=[1, -1, 2, -2]),
        request(model_id=TARGET, versions_count=2, version_handle="2"),
        request(model_id=TARGET, version_numbers=[1, 2], versions_count=1, version_handle="listed:1"),
        request(model_id="nobody", version_numbers=[2**31 - 1, -(2**31), 0]),
    ]
    return [message.SerializeToString() for message in requests]


def _headers() -> list[bytes]:
    infos = [
        api.ModelVersionInfo(model_id=TARGET, data_size=size, user_data=user_data, data_hash=data_hash)
        for size, user_data, data_hash in [(8, {}, ""), (8, {"a": "="}, ""), (0, {}, ""), (2**64 - 1, {}, "x")]
    ]
    infos.append(api.ModelVersionInfo(model_id="nobody", data_size=8, version_number=7, creation_timestamp=2**64 - 1))
    header = api.CreateVersionRequestChunk.Header
    return [api.CreateVersionRequestChunk(header=header(version_info=info)).SerializeToString() for info in infos]


def _bodies() -> list[bytes]:
    body = api.CreateVersionRequestChunk.Body
    return [
        api.CreateVersionRequestChunk(body=body(data_chunk=data)).SerializeToString()
        for data in (b"", b"d", b"data", b"datadata", b"x" * 300)
    ]


VALID: dict[str, list[bytes]] = {
    "CreateOrUpdateModel": [
        api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id=TARGET, user_data=data)).SerializeToString()
        for data in ({}, {"a": "1", "=": "<<"}, {"": "\x00\u0085"})
    ],
    "DeleteModel": [api.DeleteModelRequest(model_id=name).SerializeToString() for name in (TARGET, "nobody", "")],
    "RetrieveModels": [
        api.RetrieveModelsRequest(models_count=3).SerializeToString(),
        api.RetrieveModelsRequest(model_ids=[TARGET], models_count=1, model_handle="1").SerializeToString(),
        api.RetrieveModelsRequest(model_ids=[TARGET, "nobody"]).SerializeToString(),
    ],
    "CreateVersion": [*_headers(), *_bodies()],
    "RetrieveVersionInfos": _infos(),
    "RetrieveVersionData": [
        api.RetrieveVersionDataRequest(model_id=TARGET, version_number=number).SerializeToString()
        for number in (1, -1, 0, 7, 2**31 - 1, -(2**31))
    ],
    "VersionUpdate": [api.VersionUpdateRequest(model_id=name).SerializeToString() for name in ("nobody", TARGET)],
    "Version": [common.VersionRequest().SerializeToString()],
    "Status": [common.StatusRequest(names=names).SerializeToString() for names in (["*"], ["overall_load", "x"], [])],
}
"""Valid messages, by the call that takes them."""

_EVERYTHING = [message for messages in VALID.values() for message in messages]
_HEADERS, _BODIES = _headers(), _bodies()
_STREAM_LENGTHS = (1, 2, 3, 8, 20, 40)


def _request_classes() -> dict[str, Any]:
    names = {method.name: method.input_type.name for method in SERVICE.methods}
    return {name: getattr(api, kind, None) or getattr(common, kind) for name, kind in names.items()}


_CLASSES = _request_classes()


def is_message(name: str, raw: bytes) -> bool:
    """
    Return, by protobuf alone, whether bytes are a message of the type that a call takes.
    """
    try:
        _CLASSES[name].FromString(raw)
    except DecodeError:
        return False
    return True


def _flip(chance: random.Random, raw: bytearray) -> None:
    if raw:
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, raw: bytearray) -> None:
    if raw:
        raw[chance.randrange(len(raw))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _cut(chance: random.Random, raw: bytearray) -> None:
    del raw[chance.randrange(len(raw) + 1) :]


def _drop(chance: random.Random, raw: bytearray) -> None:
    start = chance.randrange(len(raw) + 1)
    del raw[start : start + chance.randrange(1, 5)]


def _splice(chance: random.Random, raw: bytearray) -> None:
    other = chance.choice(_EVERYTHING)
    place = chance.randrange(len(raw) + 1)
    raw[place : place + chance.randrange(9)] = other[chance.randrange(len(other) + 1) :]


def _insert(chance: random.Random, raw: bytearray) -> None:
    place = chance.choice((0, len(raw), chance.randrange(len(raw) + 1)))
    raw[place:place] = chance.choice(_ODD_PIECES)


def _double(chance: random.Random, raw: bytearray) -> None:
    if len(raw) < _MOST_BYTES:
        raw *= 2


def _retype(chance: random.Random, raw: bytearray) -> None:
    if raw:
        raw[0] = raw[0] & 0xF8 | chance.randrange(8)


def _noise(chance: random.Random, raw: bytearray) -> None:
    raw[:] = chance.randbytes(chance.choice((1, 2, 5, 20, 200)))


_HARMS: Sequence[Callable[[random.Random, bytearray], None]] = (
    _flip,
    _flip,
    _set,
    _set,
    _cut,
    _drop,
    _splice,
    _insert,
    _insert,
    _double,
    _retype,
    _noise,
)


def harmed(chance: random.Random, raw: bytes) -> bytes:
    """
    Do one to three things to a message.
    """
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(_HARMS)(chance, changed)
    return bytes(changed)


def request(chance: random.Random, name: str) -> bytes:
    """
    Make the request of a call.
    """
    return harmed(chance, chance.choice(VALID[name] if chance.random() < 0.9 else _EVERYTHING))


def stream(chance: random.Random) -> list[bytes]:
    """
    Make the messages of an upload: most are in their order up to some place, so that the later ones are read too.
    """
    first = chance.choice(_HEADERS[:2]) if chance.random() < 0.8 else harmed(chance, chance.choice(_HEADERS))
    messages = [first]
    for _ in range(chance.choice(_STREAM_LENGTHS)):
        valid = chance.choice(_BODIES[:1]) if chance.random() < 0.9 else chance.choice(VALID["CreateVersion"])
        messages.append(_decorated(chance, valid) if chance.random() < 0.9 else harmed(chance, valid))
    if chance.random() < 0.3:
        messages.append(_BODIES[3])
    return messages


def _decorated(chance: random.Random, raw: bytes) -> bytes:
    # Still valid, and odd: such as a body in two parts, or with fields of a later day.
    return chance.choice((raw, raw + raw, b"\xfa\x3f\x03abc" + raw, raw + b"\xf8\x3f\x07", b"\x12\x80\x00"))
