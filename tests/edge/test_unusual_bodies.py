"""
Tests of uploads whose messages are encoded in unusual, but valid ways.
"""

from random import Random
from typing import Any, ClassVar

from tests.support.client import data_hash, header
from tests.support.edge import SharedEdgeTestCase

UNKNOWN_FIELD = b"\xfa\x3f\x03abc"


def varint(number: int, size: int = 1) -> bytes:
    """
    Return a number as a varint of a minimum length.
    """
    encoded = bytearray()
    while number > 0x7F or len(encoded) + 1 < size:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, content: bytes, length_bytes: int = 1, tag_bytes: int = 1) -> bytes:
    """
    Return a field of bytes, optionally with overlong varints.
    """
    return varint(number << 3 | 2, tag_bytes) + varint(len(content), length_bytes) + content


class UnusualBodyTests(SharedEdgeTestCase):
    """
    All of these messages are bodies.
    """

    flags = ("--sent-model-version-data-chunk-size", "1000")

    DATA: ClassVar[bytes] = Random(1).randbytes(3456)

    def setUp(self) -> None:
        """
        Make the test's model.
        """
        super().setUp()
        self.client.save_model(self.model_id)

    def assert_taken(self, data: bytes, *messages: Any) -> None:
        """
        Check that messages carry some data into memory and into the archive.
        """
        for archived in (False, True):
            info = self.client.upload(header(self.model_id, len(data), archived=archived), messages)
            self.assertEqual(info.data_hash, data_hash(data))
            chunks = list(self.client.chunks(self.model_id, -1))
            self.assertEqual(chunks, [data[start : start + 1000] for start in range(0, len(data), 1000)] or [b""])

    def test_overlong_lengths(self) -> None:
        """
        A length may take more bytes than it needs.
        """
        for size in range(1, 6):  # protobuf itself does not read longer ones
            self.assert_taken(self.DATA, field(2, field(1, self.DATA, size)))
            self.assert_taken(self.DATA, field(2, field(1, self.DATA), size))
            self.assert_taken(b"", field(2, field(1, b"", size), size))

    def test_overlong_tags(self) -> None:
        """
        A tag may take more bytes than it needs.
        """
        for size in range(2, 6):
            self.assert_taken(self.DATA, field(2, field(1, self.DATA, tag_bytes=size)))
            self.assert_taken(self.DATA, field(2, field(1, self.DATA), tag_bytes=size))

    def test_unknown_fields(self) -> None:
        """
        Unknown fields, before and after the data, are skipped.
        """
        data = field(1, self.DATA)
        for content in (UNKNOWN_FIELD + data, data + UNKNOWN_FIELD, UNKNOWN_FIELD + data + UNKNOWN_FIELD):
            self.assert_taken(self.DATA, field(2, content))
        for message in (UNKNOWN_FIELD + field(2, data), field(2, data) + UNKNOWN_FIELD):
            self.assert_taken(self.DATA, message)

    def test_data_twice(self) -> None:
        """
        If a field comes twice in a message, the last counts.
        """
        other, data = field(1, b"other"), field(1, self.DATA)
        self.assert_taken(self.DATA, field(2, other + data))
        self.assert_taken(self.DATA, field(2, other) + field(2, data))
        self.assert_taken(self.DATA, field(2, data) + field(2, b""))
        self.assert_taken(self.DATA, field(2, data) + field(2, UNKNOWN_FIELD))
        self.assert_taken(b"", field(2, data + field(1, b"")))
        self.assert_taken(b"other", field(2, field(1, data) + other))

    def test_data_that_looks_like_fields(self) -> None:
        """
        Data may be anything, also bytes that could be fields or messages.
        """
        for data in (UNKNOWN_FIELD, field(1, self.DATA), field(2, field(1, self.DATA)), b"\x0a", b"\x12", b"\x0a\x00"):
            self.assert_taken(data, field(2, field(1, data)))
            self.assert_taken(data, *(field(2, field(1, data[n : n + 1])) for n in range(len(data))))

    def test_no_data_at_all(self) -> None:
        """
        A body may have no data, however it is encoded.
        """
        empty = [field(2, b""), field(2, field(1, b"")), field(2, UNKNOWN_FIELD), field(2, b"") + UNKNOWN_FIELD]
        self.assert_taken(b"", *empty)
        self.assert_taken(self.DATA, *empty, field(2, field(1, self.DATA)), *empty)

    def test_each_in_turn(self) -> None:
        """
        An upload may mix all these encodings.
        """
        pieces = [self.DATA[start : start + 100] for start in range(0, len(self.DATA), 100)]
        messages = [
            (
                field(2, field(1, piece)),
                field(2, field(1, piece, 4), 4),
                field(2, field(1, b"other") + field(1, piece)),
                field(2, UNKNOWN_FIELD + field(1, piece)),
            )[index % 4]
            for index, piece in enumerate(pieces)
        ]
        self.assert_taken(self.DATA, *messages)
