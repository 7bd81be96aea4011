"""
The bodies of an upload, and how its data is cut.
"""

from google.protobuf.message import DecodeError

from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.protocol.messages import api
from twisted_registry.rpc.services.cogment.codec import Chunker, body_chunk

SEEDS = [
    b"\x12\x06\x0a\x04data",
    b"\x12\x00",
    b"\x12\x84\x00\x0a\x02hi",
    b"\x12\x08\x0a\x01a\x0a\x03bcd",
    b"\x12\x04\x0a\x02hi\x12\x03\x0a\x01x",
    b"\x12\x04\x0a\x02hi\x7a\x00",
    b"\x12\x80\x80\x80\x80\x80\x80\x00",
    b"\x0a\x04\x0a\x02\x0a\x00\x12\x00",
    b"\x12\x83\x01\x0a\x80\x01" + b"x" * 128,
    b"\x0b\x0c\x12\x02\x0a\x00",
]

_CHUNK_SIZES = (1, 2, 7, 100, 16_384, 20_000)
_PIECE_SIZES = (0, 1, 3, 90, 700, 16_383, 16_384)


def _by_protobuf(raw: bytes) -> bytes | None:
    try:
        message = api.CreateVersionRequestChunk.FromString(raw)
    except DecodeError:
        return None
    return message.body.data_chunk if message.WhichOneof("msg") == "body" else None


def _taken(raw: bytes) -> bytes | None:
    try:
        return bytes(body_chunk(raw).data)
    except InvalidRequest:
        return None


def _check_cutting(data: bytes) -> None:
    chunk_bytes = _CHUNK_SIZES[data[0] % len(_CHUNK_SIZES)]
    pieces = [bytes([index % 256]) * _PIECE_SIZES[byte % len(_PIECE_SIZES)] for index, byte in enumerate(data[1:9])]
    if chunk_bytes < 100:
        pieces = [piece[:30] for piece in pieces]
    chunker = Chunker(chunk_bytes)
    chunks = [chunk for piece in pieces for chunk in chunker.add(memoryview(piece))]
    chunks += chunker.flush()
    whole = b"".join(pieces)
    full, rest = divmod(len(whole), chunk_bytes)
    assert [chunk.size_bytes for chunk in chunks] == [chunk_bytes] * full + [rest] * bool(rest or not full)
    read = [api.RetrieveVersionDataReplyChunk.FromString(chunk.buffer).data_chunk for chunk in chunks]
    assert b"".join(read) == whole == b"".join(bytes(chunk.data) for chunk in chunks)


def test_one_input(data: bytes) -> None:
    """
    Check that exactly what protobuf reads is read, and that data in any pieces is split into frames of one size.
    """
    for raw in (data, b"\x12" + data):
        assert _taken(raw) == _by_protobuf(raw)
    if data:
        _check_cutting(data)
