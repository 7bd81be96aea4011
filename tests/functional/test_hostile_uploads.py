"""
Tests with arbitrary uploads: the contract alone determines how they end.
"""

import time
from collections.abc import Sequence
from typing import Any

from grpc import StatusCode
from hypothesis import example, given, strategies as st

from tests.edge.test_hostile_properties import INVALID, NOT_FOUND, OK, TEXTS, HostileCase, hostile
from tests.support.client import body, data_hash, header
from tests.support.upload import Upload
from twisted_registry.protocol.messages import api

CACHE_BYTES = 1_000_000
SIZES = (
    st.integers(0, 2**64 - 1) | st.integers(0, 12) | st.sampled_from([CACHE_BYTES, CACHE_BYTES + 1, 2**63, 2**64 - 1])
)
PIECES = st.lists(st.sampled_from([b"", b"a", b"bcd", b"x" * 8]), max_size=4)
LATER = b"\xfa\x3f\x03abc\xf8\x3f\x07"
TOO_MUCH = StatusCode.RESOURCE_EXHAUSTED


def is_message(raw: bytes) -> bool:
    """
    Return whether protobuf can parse bytes.
    """
    try:
        api.CreateVersionRequestChunk.FromString(raw)
    except Exception:  # each implementation of protobuf has another class for it
        return False
    return True


class HostileUploadCase(HostileCase):
    """
    A registry that may hold few bytes.
    """

    flags = ("--version-cache-max-bytes", str(CACHE_BYTES))

    def setUp(self) -> None:
        """
        Begin with no created versions.
        """
        super().setUp()
        self.created = 0

    def assert_upload(self, expected: StatusCode, messages: Sequence[Any]) -> Any:
        """
        Check how an upload ends, and that what is refused leaves nothing and uses up no number.

        Returns:
            the new version's info; ``None`` where it is refused.
        """
        code, reply = self.ended(lambda: self.client.call("CreateVersion", messages))
        self.assertEqual(code, expected, messages)
        if code is not OK:
            return None
        self.created += 1
        self.assertEqual(reply.version_info.version_number, self.created)
        self.assertEqual(self.client.latest(self.model_id), reply.version_info)
        return reply.version_info


class DeclarationTests(HostileUploadCase):
    """
    The declarations in a header.
    """

    @hostile(150)
    @given(SIZES, PIECES, st.booleans())
    @example(2**64 - 1, [b"a"], True)
    @example(0, [], True)
    @example(0, [b"a"], True)
    def test_any_size(self, declared: int, pieces: list[bytes], archived: bool) -> None:
        """
        A version is created if exactly the declared bytes arrive; one that is too large is refused at the header.
        """
        data = b"".join(pieces)
        expected = OK if declared == len(data) else INVALID
        if not archived and declared > CACHE_BYTES:
            expected = TOO_MUCH
        info = self.assert_upload(
            expected, [header(self.model_id, declared, archived=archived), *(body(piece) for piece in pieces)]
        )
        if info is not None:
            self.assertEqual((info.data_size, info.data_hash), (len(data), data_hash(data)))
            self.assertEqual(self.client.data(self.model_id, -1), data)

    @hostile()
    @given(st.integers(0, 2**64 - 1), st.booleans(), st.integers(0, 2**32 - 1))
    @example(2**64 - 1, True, 1)
    @example(1, True, 2**32 - 1)
    def test_any_time_and_number(self, created_ns: int, archived: bool, number: int) -> None:
        """
        Any time is kept to the nanosecond, except 0, which means now; any number is ignored.
        """
        before_ns = time.time_ns()
        first = header(self.model_id, 4, archived=archived, creation_timestamp=created_ns, version_number=number)
        info = self.assert_upload(OK, [first, body(b"data")])
        if created_ns:
            self.assertEqual(info.creation_timestamp, created_ns)
        else:
            self.assertTrue(before_ns <= info.creation_timestamp <= time.time_ns())

    @hostile()
    @given(TEXTS | st.sampled_from(["", data_hash(b"data"), data_hash(b""), data_hash(b"data") + " "]), st.booleans())
    def test_any_hash(self, declared: str, archived: bool) -> None:
        """
        The data's hash is accepted, and so is an empty one; any other is refused.
        """
        expected = OK if declared in ("", data_hash(b"data")) else INVALID
        first = header(self.model_id, 4, archived=archived, data_hash=declared)
        info = self.assert_upload(expected, [first, body(b"data")])
        if info is not None:
            self.assertEqual(info.data_hash, data_hash(b"data"))

    @hostile()
    @given(TEXTS)
    def test_any_model(self, model_id: str) -> None:
        """
        An unknown model is NOT_FOUND, whatever its id.
        """
        unknown = f"{model_id}?"
        self.assert_upload(NOT_FOUND, [header(unknown, 4), body(b"data")])


HEADER = "header"
PLAIN_KINDS: dict[str, bytes] = {
    "empty": b"",
    "later": LATER,
    "bare header": b"\x0a\x00",
    "no message": b"\xff\xff",
    "cut off": b"\x12\x06\x0a\x04da",
    "bare body": b"\x12\x00",
    "a": body(b"a").SerializeToString(),
    "b and later": body(b"b").SerializeToString() + LATER,
    "later and c": LATER + body(b"c").SerializeToString(),
}
DATA = {"bare body": b"", "a": b"a", "b and later": b"b", "later and c": b"c", "header and d": b"d"}
KINDS = st.sampled_from([HEADER, HEADER, "d and header", "header and d", *PLAIN_KINDS, "a", "a", "a"])


class OrderTests(HostileUploadCase):
    """
    The order of messages.
    """

    def message(self, kind: str, declared: int, archived: bool) -> bytes:
        """
        Make a message.
        """
        first: bytes = header(self.model_id, declared, archived=archived).SerializeToString()
        data: bytes = body(b"d").SerializeToString()
        both = {HEADER: first, "d and header": data + first, "header and d": first + data}
        return both[kind] if kind in both else PLAIN_KINDS[kind]

    @hostile(200)
    @given(st.lists(KINDS, max_size=5), st.integers(0, 4), st.booleans())
    @example([HEADER, HEADER], 0, False)
    @example(["a", HEADER], 1, False)
    @example(["d and header", "header and d"], 1, True)
    @example([], 0, False)
    def test_any_order(self, kinds: list[str], declared: int, archived: bool) -> None:
        """
        Only a header followed by bodies creates a version; of both in one message, the last counts.
        """
        begins = bool(kinds) and kinds[0] in (HEADER, "d and header")
        data = b"".join(DATA.get(kind, b"") for kind in kinds[1:])
        good = begins and all(kind in DATA for kind in kinds[1:]) and len(data) == declared
        messages = [self.message(kind, declared, archived) for kind in kinds]
        info = self.assert_upload(OK if good else INVALID, messages)
        if info is not None:
            self.assertEqual(self.client.data(self.model_id, -1), data)

    @hostile(100)
    @given(st.lists(st.binary(max_size=12), min_size=1, max_size=4))
    def test_any_bytes(self, rest: list[bytes]) -> None:
        """
        After a header, any bytes are bodies as protobuf reads them, or are refused.
        """
        read = [api.CreateVersionRequestChunk.FromString(raw) if is_message(raw) else None for raw in rest]
        bodies = [chunk.body.data_chunk for chunk in read if chunk is not None and chunk.WhichOneof("msg") == "body"]
        data = b"".join(bodies)
        self.assert_upload(OK if len(bodies) == len(rest) else INVALID, [header(self.model_id, len(data)), *rest])

    @hostile(60)
    @given(st.lists(st.sampled_from([b"", b"a", b"bc"]), max_size=4), st.booleans())
    def test_taken_back(self, pieces: list[bytes], archived: bool) -> None:
        """
        An upload that is cancelled before all its bytes have arrived leaves nothing, and no number is used up.
        """
        declared = len(b"".join(pieces)) + 1
        first = header(self.model_id, declared, archived=archived)
        upload = Upload(self.client, first, *(body(piece) for piece in pieces))
        upload.cancel()
        self.assert_upload(OK, [header(self.model_id, 4, archived=archived), body(b"data")])
        self.assertEqual(len(self.client.infos(self.model_id).version_infos), self.created)
