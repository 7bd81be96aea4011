"""
A version's data as it travels.

An upload's body is a C{CreateVersionRequestChunk} that holds a C{Body}, a download's chunk a
C{RetrieveVersionDataReplyChunk}; the former ends with the very bytes of the latter::

    CreateVersionRequestChunk   12 <length> | 0a <length> <data>
    RetrieveVersionDataReplyChunk             0a <length> <data>

So data is put into the frame of a reply once, while it is received, and goes out from there to any number of readers
without protobuf touching it.  (Tags and varints: U{https://protobuf.dev/programming-guides/encoding/}.)
"""

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from twisted_registry.errors import InvalidRequest
from twisted_registry.rpc.messages import api
from twisted_registry.values import Chunk

_BODY_TAG = 0x12
_DATA_TAG = 0x0A
_COALESCED_BELOW_BYTES = 16 * 1024


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def frame(data: bytes) -> Chunk:
    """
    Put data into the frame of a reply.
    """
    return _frame([data], len(data))


def _frame(pieces: list[bytes | bytearray | memoryview], size_bytes: int) -> Chunk:
    header = bytes([_DATA_TAG]) + _varint(size_bytes)
    return Chunk(b"".join((header, *pieces)), len(header))


def _length_prefixed(message: bytes, position: int, tag: int) -> int | None:
    """
    Give where a field's content begins, if the field has this tag and ends where the message ends.
    """
    if position >= len(message) or message[position] != tag:
        return None
    length = shift = 0
    for index in range(position + 1, min(position + 6, len(message))):
        byte = message[index]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return index + 1 if index + 1 + length == len(message) else None
        shift += 7
    return None


def body_data(message: bytes) -> memoryview:
    """
    Give the data that a body message carries, not copied where it can be helped.

    @param message: a serialized C{CreateVersionRequestChunk}.

    @raise InvalidRequest: it is no such message, or not one with a body.
    """
    body = _length_prefixed(message, 0, _BODY_TAG)
    data = None if body is None else _length_prefixed(message, body, _DATA_TAG)
    if data is not None:
        return memoryview(message)[data:]
    return _unusual_body_data(message)


def _unusual_body_data(message: bytes) -> memoryview:
    try:
        chunk = api.CreateVersionRequestChunk.FromString(message)
    except DecodeError:
        raise InvalidRequest("a message of the stream is no CreateVersionRequestChunk") from None
    if chunk.WhichOneof("msg") != "body":
        raise InvalidRequest("after the header, every message of the stream must be a body")
    return memoryview(chunk.body.data_chunk)


class Cutter:
    """
    Cuts the data of an upload, which comes in pieces of any size, into frames of one size.

    Large pieces are copied once, into their frame.  Small ones are gathered first: a view for each byte of a stream of
    one-byte messages would take hundreds of times the memory of the data.
    """

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._pieces: list[bytes | bytearray | memoryview] = []
        self._pending_bytes = 0
        self._cut_any = False

    def add(self, data: memoryview) -> Iterator[Chunk]:
        """
        Take a piece, and give the frames that are full with it.
        """
        while self._pending_bytes + len(data) >= self._chunk_bytes:
            room = self._chunk_bytes - self._pending_bytes
            self._gather(data[:room])
            data = data[room:]
            yield self._cut()
        self._gather(data)

    def rest(self) -> Iterator[Chunk]:
        """
        Give what is left; an empty frame where there was no data at all.
        """
        if self._pending_bytes or not self._cut_any:
            yield self._cut()

    def _gather(self, data: memoryview) -> None:
        self._pending_bytes += len(data)
        if len(data) >= _COALESCED_BELOW_BYTES:
            self._pieces.append(data)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data
        elif data:
            self._pieces.append(bytearray(data))

    def _cut(self) -> Chunk:
        chunk = _frame(self._pieces, self._pending_bytes)
        self._pieces = []
        self._pending_bytes = 0
        self._cut_any = True
        return chunk
