"""
A version's data in the messages of uploads and downloads.

An upload's body ends with the very bytes of a download's chunk (``twisted_registry.protocol.framing``).  So data is put
into the message of a reply once, when it is stored, and is sent from there to any number of readers without protobuf.
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


def frame(data: bytes) -> Chunk:
    """
    Return data in the message of a download.
    """
    return _frame([data], len(data))


def _frame(pieces: Sequence[bytes | memoryview], size_bytes: int) -> Chunk:
    header = field_header(DATA_TAG, size_bytes)
    return Chunk(b"".join((header, *pieces)), len(header))


def body_chunk(message: bytes) -> Chunk:
    """
    Return the data in a message of an upload, not copied if possible.

    Args:
        message: a serialized ``CreateVersionRequestChunk``.

    Raises:
        InvalidRequest: it is not such a message, or one without a body.
    """
    body = content_offset(message, 0, BODY_TAG)
    data = None if body is None else content_offset(message, body, DATA_TAG)
    if data is not None:
        return Chunk(message, data)
    return Chunk(_unusual_body_data(message))


def _unusual_body_data(message: bytes) -> bytes:
    if len(message) > REQUEST_MAX_BYTES:  # the rest of it could take long to parse
        raise InvalidRequest(
            f"a message of {len(message)} bytes is not a body with only a data_chunk; send it in smaller messages, or "
            "as protobuf itself writes it"
        )
    try:
        chunk = api.CreateVersionRequestChunk.FromString(message)
    except DecodeError:
        raise InvalidRequest("a message of the stream is not a CreateVersionRequestChunk") from None
    if chunk.WhichOneof("msg") != "body":
        raise InvalidRequest("after the header, every message of the stream must be a body")
    return chunk.body.data_chunk


@implementer(IChunker)
class Chunker:
    """
    A chunker that cuts the data of an upload, which comes in pieces of any size, into the messages of a download, of
    one size.  The data is copied once.
    """

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._pieces: list[memoryview] = []
        self._pending_bytes = 0
        self._has_cut = False

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
        if self._pending_bytes or not self._has_cut:
            yield self._cut()

    def _gather(self, data: memoryview) -> None:
        if data:
            self._pieces.append(data)
            self._pending_bytes += len(data)

    def _cut(self) -> Chunk:
        chunk = _frame(self._pieces, self._pending_bytes)
        self._pieces = []
        self._pending_bytes = 0
        self._has_cut = True
        return chunk
