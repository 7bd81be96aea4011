"""
A version's data as it travels.

An upload's body ends with the very bytes of a download's chunk (``twisted_registry.protocol.framing``).  So data is put
into the frame of a reply once, when it is stored, and goes out from there to any number of readers without protobuf
touching it.
"""

from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError
from zope.interface import implementer

from twisted_registry.contracts.transfers import IChunker
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import Chunk
from twisted_registry.protocol.framing import BODY_TAG, DATA_TAG, content_offset, field_header
from twisted_registry.protocol.limits import REQUEST_MAX_BYTES
from twisted_registry.protocol.messages import api

_GATHERED_BYTES = 256 * 1024


def frame(data: bytes) -> Chunk:
    """
    Put data into the frame of a reply.
    """
    return _frame([data], len(data))


def _frame(pieces: Sequence[bytes | memoryview], size_bytes: int) -> Chunk:
    header = field_header(DATA_TAG, size_bytes)
    return Chunk(b"".join((header, *pieces)), len(header))


def body_chunk(message: bytes) -> Chunk:
    """
    Give the data that a body message carries, not copied where it can be helped.

    Args:
        message: a serialized ``CreateVersionRequestChunk``.

    Raises:
        InvalidRequest: it is no such message, or not one with a body.
    """
    body = content_offset(message, 0, BODY_TAG)
    data = None if body is None else content_offset(message, body, DATA_TAG)
    if data is not None:
        return Chunk(message, data)
    return Chunk(_unusual_body_data(message))


def _unusual_body_data(message: bytes) -> bytes:
    if len(message) > REQUEST_MAX_BYTES:  # what else is in it could take long to read
        raise InvalidRequest(
            f"a message of {len(message)} bytes is no body with a data_chunk and nothing else; send it in smaller "
            "messages, or as protobuf itself writes it"
        )
    try:
        chunk = api.CreateVersionRequestChunk.FromString(message)
    except DecodeError:
        raise InvalidRequest("a message of the stream is no CreateVersionRequestChunk") from None
    if chunk.WhichOneof("msg") != "body":
        raise InvalidRequest("after the header, every message of the stream must be a body")
    return chunk.body.data_chunk


class Gatherer:
    """
    Gathers the messages of an upload where they are small: to hash and store each on its own would cost many times what
    its data does.  Large ones are given on as they are.
    """

    def __init__(self, chunk_bytes: int) -> None:
        """

        Args:
            chunk_bytes: as much as makes a chunk need not wait for more.
        """
        self._enough_bytes = min(_GATHERED_BYTES, chunk_bytes)
        self._small_bytes = self._enough_bytes // 4
        self._gathered = bytearray()

    def add(self, piece: Chunk) -> Iterator[Chunk]:
        """
        Take a message's data, and give what is large enough with it.
        """
        if piece.size_bytes <= self._small_bytes:
            self._gathered += piece.data
            if len(self._gathered) >= self._enough_bytes:
                yield from self.flush()
            return
        yield from self.flush()
        yield piece

    def flush(self) -> Iterator[Chunk]:
        """
        Give what is gathered.
        """
        if self._gathered:
            gathered, self._gathered = bytes(self._gathered), bytearray()
            yield Chunk(gathered)


@implementer(IChunker)
class Chunker:
    """
    Cuts the data of an upload, which comes in pieces of any size, into frames of one size.  It is copied once, into its
    frame.
    """

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._pieces: list[memoryview] = []
        self._pending_bytes = 0
        self._cut_any = False

    def add(self, data: memoryview) -> Iterator[Chunk]:
        """See ``IChunker.add``."""
        while self._pending_bytes + len(data) >= self._chunk_bytes:
            room = self._chunk_bytes - self._pending_bytes
            self._gather(data[:room])
            data = data[room:]
            yield self._cut()
        self._gather(data)

    def flush(self) -> Iterator[Chunk]:
        """See ``IChunker.flush``."""
        if self._pending_bytes or not self._cut_any:
            yield self._cut()

    def _gather(self, data: memoryview) -> None:
        if data:
            self._pieces.append(data)
            self._pending_bytes += len(data)

    def _cut(self) -> Chunk:
        chunk = _frame(self._pieces, self._pending_bytes)
        self._pieces = []
        self._pending_bytes = 0
        self._cut_any = True
        return chunk
