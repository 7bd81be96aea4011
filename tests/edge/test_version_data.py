"""
Tests of downloads: selection, chunks, and versions that are deleted meanwhile.
"""

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import ClassVar

from grpc import StatusCode

from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from twisted_registry.protocol.messages import api

MIB = 1024 * 1024
STOCK_MESSAGE_BYTES = 4 * MIB
KINDS = (False, True)
"""Not archived, and archived."""

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def random_bytes(size: int) -> bytes:
    """
    Return random data, the same each time for one size.
    """
    return Random(size).randbytes(size)


class SelectorTests(SharedEdgeTestCase):
    """
    The selection of the version.
    """

    def setUp(self) -> None:
        """
        Create three versions.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        for number, archived in enumerate((True, False, True), start=1):
            self.client.create(self.model_id, b"data of %d" % number, archived=archived)

    def test_by_number(self) -> None:
        """
        A number selects that version.
        """
        for number in (1, 2, 3):
            self.assertEqual(self.client.data(self.model_id, number), b"data of %d" % number)

    def test_from_the_end(self) -> None:
        """
        -1 selects the latest version, -n the n-th to last.
        """
        for number in (1, 2, 3):
            self.assertEqual(self.client.data(self.model_id, number - 4), b"data of %d" % number)

    def test_unknown_numbers(self) -> None:
        """
        A selector without a version is NOT_FOUND, and the text lists the valid ones.
        """
        for number in (0, 4, -4, INT32_MAX, INT32_MIN, INT32_MIN + 1):
            self.assert_refused(
                StatusCode.NOT_FOUND,
                partial(self.client.data, self.model_id, number),
                f" {number};",
                "numbers start at 1",
                "-1 is the latest",
            )

    def test_unknown_model(self) -> None:
        """
        An unknown model is NOT_FOUND.
        """
        for number in (-1, 0, 1):
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.data, "nobody", number), "nobody")


class DefaultChunkTests(SharedEdgeTestCase):
    """
    Chunks of the default size.
    """

    def test_a_stock_client_reads_large_versions(self) -> None:
        """
        A client with gRPC's default limits reads a large version: all chunks but the last have one size, and with it
        a message stays just within 4 MiB.
        """
        self.client.save_model(self.model_id)
        data = random_bytes(20 * MIB)
        for archived in KINDS:
            number = self.client.create(self.model_id, data, archived=archived).version_number
            chunks = list(self.client.chunks(self.model_id, number))
            self.assertEqual(b"".join(chunks), data)
            sizes = {len(chunk) for chunk in chunks[:-1]}
            self.assertEqual(len(sizes), 1)
            self.assertTrue(STOCK_MESSAGE_BYTES - 64 * 1024 < sizes.pop() <= STOCK_MESSAGE_BYTES - 5, chunks[0][:0])


class ChunkTests(EdgeTestCase):
    """
    Chunks of a configured size.
    """

    CHUNK: ClassVar[int] = 1000
    SIZES: ClassVar[list[int]] = [0, 1, 999, 1000, 1001, 1999, 2000, 2001, 5000, 12345, 70000, 300_000]
    PIECES: ClassVar[list[int]] = [70, 999, 1000, 1001, 20_000, 40_000]

    flags = ("--sent-model-version-data-chunk-size", "1000", "--version-cache-max-bytes", str(6 * MIB))

    def assert_chunks(self, number: int, data: bytes) -> None:
        """
        Check that a version is sent in chunks of exactly the configured size.
        """
        expected = [data[start : start + self.CHUNK] for start in range(0, len(data), self.CHUNK)] or [b""]
        self.assertEqual(list(self.client.chunks("m", number)), expected, f"{len(data)} bytes")

    def test_all_but_the_last_have_the_size_set(self) -> None:
        """
        Chunks have exactly the size set, and zero bytes are one empty chunk, whether the version is in memory, is
        archived and in memory too, or is on the archive alone.
        """
        self.client.save_model("m")
        versions = [(random_bytes(size), archived) for archived in (True, False) for size in self.SIZES]
        for data, archived in versions:
            self.client.create("m", data, archived=archived)
        for number, (data, _) in enumerate(versions, start=1):
            self.assert_chunks(number, data)
        self.restart()
        for _ in range(2):
            for number, (data, archived) in enumerate(versions, start=1):
                if archived:
                    self.assert_chunks(number, data)

    def test_incoming_sizes_do_not_matter(self) -> None:
        """
        The sizes of an upload's messages do not change the chunks that are sent.
        """
        self.client.save_model("m")
        data = random_bytes(123_456)
        for piece in self.PIECES:
            for archived in KINDS:
                info = self.client.create("m", data, archived=archived, piece_bytes=piece)
                self.assert_chunks(info.version_number, data)

    def test_single_bytes(self) -> None:
        """
        An upload may be sent byte by byte.
        """
        self.client.save_model("m")
        data = random_bytes(2500)
        for archived in KINDS:
            info = self.client.create("m", data, archived=archived, piece_bytes=1)
            self.assert_chunks(info.version_number, data)


class UnderWayTests(EdgeTestCase):
    """
    Downloads of versions that are deleted or evicted meanwhile.
    """

    SIZE: ClassVar[int] = 40 * MIB

    flags = ("--version-cache-max-items", "1", "--version-cache-max-bytes", str(64 * MIB))

    def setUp(self) -> None:
        """
        Create a model, and data so large that most of it waits in the daemon while the reader does not read.
        """
        super().setUp()
        self.client.save_model("m")
        self.large = random_bytes(self.SIZE)

    def begin(self, *, archived: bool) -> Iterator[bytes]:
        """
        Create a version, and read its first chunk.
        """
        self.client.create("m", self.large, archived=archived)
        chunks = self.client.chunks("m", -1)
        self.received = [next(chunks)]
        return chunks

    def assert_whole(self, chunks: Iterator[bytes]) -> None:
        """
        Check that the rest arrives.
        """
        self.received.extend(chunks)
        self.assertTrue(b"".join(self.received) == self.large)

    def test_model_deleted_while_a_transient_version_is_read(self) -> None:
        """
        A transient version that is being read arrives whole although its model is deleted.
        """
        chunks = self.begin(archived=False)
        self.client.delete_model("m")
        self.assert_whole(chunks)

    def test_model_deleted_while_an_archived_version_is_read(self) -> None:
        """
        An archived version that is being read arrives whole although its model is deleted, even if it is created again.
        """
        chunks = self.begin(archived=True)
        self.client.delete_model("m")
        self.client.save_model("m")
        self.client.create("m", b"new", archived=True)
        self.assert_whole(chunks)

    def test_version_evicted_while_it_is_read(self) -> None:
        """
        A transient version that is being read arrives whole although it is evicted.
        """
        chunks = self.begin(archived=False)
        self.client.create("m", b"new")
        self.assert_refused(StatusCode.NOT_FOUND, lambda: self.client.data("m", 1))
        self.assert_whole(chunks)

    def test_stopped_reader_holds_nobody_up(self) -> None:
        """
        While a reader does not read, others read the same version, and new ones are created.
        """
        chunks = self.begin(archived=True)
        self.assertTrue(self.client.data("m", 1) == self.large)
        self.client.create("m", b"new")
        self.assertEqual(self.client.data("m", -1), b"new")
        self.assert_whole(chunks)

    def test_readers_that_go_away(self) -> None:
        """
        Readers that give up, or whose connections break, leave the version as it was and are not logged.
        """
        self.client.create("m", self.large, archived=True)
        request = api.RetrieveVersionDataRequest(model_id="m", version_number=1)
        for _ in range(20):
            client = self.connect(**{"grpc.use_local_subchannel_pool": 1})
            call = client.call("RetrieveVersionData", request)
            next(call)
            call.cancel()
            next(client.chunks("m", 1))
            client.close()
        self.assertTrue(self.client.data("m", 1) == self.large)
