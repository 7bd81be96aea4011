"""
Tests of data in the messages of uploads and downloads.
"""

from hypothesis import example, given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_registry.contracts.transfers import IChunker
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import Chunk
from twisted_registry.protocol.messages import api
from twisted_registry.rpc.services.cogment.codec import Chunker, body_chunk, frame


def body(data: bytes) -> bytes:
    """
    Return a body message as protobuf writes it.
    """
    message = api.CreateVersionRequestChunk(body=api.CreateVersionRequestChunk.Body(data_chunk=data))
    return message.SerializeToString()


def read_reply(chunk: Chunk) -> bytes:
    """
    Read the data of a chunk as a client does.
    """
    return api.RetrieveVersionDataReplyChunk.FromString(chunk.buffer).data_chunk


def by_protobuf(raw: bytes) -> bytes | None:
    """
    Read a body message by protobuf alone; ``None`` if it is not one.
    """
    try:
        message = api.CreateVersionRequestChunk.FromString(raw)
    except Exception:  # each implementation of protobuf has another class for it
        return None
    return message.body.data_chunk if message.WhichOneof("msg") == "body" else None


class FrameTests(SynchronousTestCase):
    """
    ``frame`` returns what a client reads.
    """

    def test_clients_read_the_data_back(self) -> None:
        """
        Data of any length, across every length of a varint, is read back whole, and begins at its offset.
        """
        for size in (0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152):
            data = b"x" * size
            chunk = frame(data)
            self.assertEqual((len(read_reply(chunk)), bytes(chunk.data) == data, chunk.size_bytes), (size, True, size))


class BodyDataTests(SynchronousTestCase):
    """
    ``body_chunk`` reads what protobuf would read, without a copy if possible.
    """

    @settings(deadline=None)
    @given(st.binary(max_size=300))
    def test_usual_bodies(self, data: bytes) -> None:
        """
        The data that protobuf writes is read back.
        """
        self.assertEqual(bytes(body_chunk(body(data)).data), data)

    @settings(deadline=None, max_examples=300)
    @given(st.binary(max_size=40).map(lambda tail: b"\x12" + tail) | st.binary(max_size=40))
    @example(b"\x12\x84\x00\x0a\x02hi")  # a length of two bytes where one would do
    @example(b"\x12\x08\x0a\x01a\x0a\x03bcd")  # the field twice: the last one counts
    @example(b"\x12\x04\x0a\x02hi\x12\x03\x0a\x01x")  # the body twice: they are merged
    @example(b"\x12\x04\x0a\x02hi\x7a\x00")  # an unknown field at the end
    @example(b"\x12\x00")
    @example(b"\x12\x80\x80\x80\x80\x80\x80\x00")
    def test_any_bytes_are_read_as_protobuf_reads_them(self, raw: bytes) -> None:
        """
        Any bytes yield the data that protobuf finds in them, or are refused if it finds none.
        """
        expected = by_protobuf(raw)
        if expected is None:
            self.assertRaises(InvalidRequest, body_chunk, raw)
        else:
            self.assertEqual(bytes(body_chunk(raw).data), expected)


class ChunkerTests(SynchronousTestCase):
    """
    ``Chunker`` cuts data into frames of one size.
    """

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 70_000), max_size=12), st.sampled_from([1000, 16_384, 50_000]))
    def test_cuts_exactly(self, sizes: list[int], chunk_bytes: int) -> None:
        """
        All frames but the last have the configured size, and the data is the same, whatever the sizes of the pieces.
        """
        chunker = Chunker(chunk_bytes)
        data = [bytes([index]) * size for index, size in enumerate(sizes)]
        chunks = [chunk for piece in data for chunk in chunker.add(memoryview(piece))]
        chunks += chunker.flush()
        whole = b"".join(data)
        self.assertEqual(b"".join(map(read_reply, chunks)), whole)
        full, rest = divmod(len(whole), chunk_bytes)
        self.assertEqual([chunk.size_bytes for chunk in chunks], [chunk_bytes] * full + [rest] * bool(rest or not full))

    def test_provides_the_interface(self) -> None:
        """
        The chunker provides the registry's interface.
        """
        verifyObject(IChunker, Chunker(1))
