"""
Tests for messages that no well-meaning client sends.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from grpc import StatusCode

from tests.support.client import body, data_hash, header
from tests.support.edge import SharedEdgeTestCase
from tests.support.upload import Upload
from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME, api, common

MIB = 1024 * 1024
LIMIT_BYTES = 64 * MIB
NO_MESSAGES = [
    b"\xff",
    b"\xff" * 20,
    b"\x07",  # a wire type that does not exist
    b"\x0a\x05abc",  # a field that is cut off
    b"\x0a\xff\xff\xff\xff\x0f",  # a field of 4 GiB
    b"\x0a",  # a field without its length
    b"\x0b",  # a group without an end
    b"\x80" * 11,  # a varint without an end
]
"""Bytes that are a message of no type."""

NOT_TEXT = b"\x0a\x02\xff\xfe"
"""A first field that is text, but not UTF-8."""

TEXT_FIRST = ["DeleteModel", "RetrieveModels", "RetrieveVersionInfos", "RetrieveVersionData", "VersionUpdate", "Status"]
HOSTILE_TEXTS = ["x" * MIB, "☃" * 5000, "🤖" * 300, "\n\x00\x7f\u2028" * 3000, "%s%d{}\\" * 2000, "\ud7ff" * 400]
UNKNOWN_FIELDS = b"\xfa\x3f\x03abc\xf8\x3f\x07"


def requests(name: str, raw: bytes) -> Any:
    """
    Return the argument that makes a call with one raw message.
    """
    return [raw] if SERVICE.methods_by_name[name].client_streaming else raw


class HostileTestCase(SharedEdgeTestCase):
    """
    A model for each test.
    """

    def setUp(self) -> None:
        """
        Make the test's model.
        """
        super().setUp()
        self.client.save_model(self.model_id)

    def replies(self, name: str, request: Any) -> list[Any]:
        """
        Make a call, and return its replies.
        """
        reply = self.client.call(name, request)
        return list(reply) if SERVICE.methods_by_name[name].server_streaming else [reply]

    def assert_no_version(self) -> None:
        """
        Check that the test's model has no version.
        """
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])


class GarbageTests(HostileTestCase):
    """
    Bytes that are not a message.
    """

    def test_any_call(self) -> None:
        """
        Bytes that are not a message are the client's fault, in each call.
        """
        self.assertEqual(len(SERVICE.methods), 9)
        for method in SERVICE.methods:
            for raw in NO_MESSAGES:
                self.assert_refused(
                    StatusCode.INVALID_ARGUMENT, partial(self.replies, method.name, requests(method.name, raw))
                )

    def test_text_that_is_none(self) -> None:
        """
        Text that is not UTF-8 is the client's fault, in each call that takes text.
        """
        for name in TEXT_FIRST:
            self.assert_refused(StatusCode.INVALID_ARGUMENT, partial(self.replies, name, NOT_TEXT))

    def test_later_in_an_upload(self) -> None:
        """
        Bytes that are not a message are refused also after a header, and after data.
        """
        for raw in [*NO_MESSAGES, b"\x12\x01\xff", b"\x12\x02\x0a\x05", b"\x12\x03\x0a\x05a", b"\x12\x80"]:
            for before in ([], [body(b"da")]):
                messages = [header(self.model_id, 4), *before, raw]
                self.assert_refused(
                    StatusCode.INVALID_ARGUMENT, partial(self.client.call, "CreateVersion", messages), "message"
                )
        self.assert_no_version()

    def test_empty_message(self) -> None:
        """
        An empty message is one without fields: a request for nothing, or for a model whose id is empty.
        """
        self.assertEqual(len(self.replies("Version", b"")), 1)
        self.assertEqual(dict(self.replies("Status", b"")[0].statuses), {})
        self.assertEqual(len(self.replies("RetrieveModels", b"")), 1)
        for name in ("CreateOrUpdateModel", "CreateVersion"):
            self.assert_refused(StatusCode.INVALID_ARGUMENT, partial(self.replies, name, requests(name, b"")))
        for name in ("DeleteModel", "RetrieveVersionInfos", "RetrieveVersionData", "VersionUpdate"):
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.replies, name, b""))

    def test_unknown_fields(self) -> None:
        """
        Unknown fields are skipped in each call.
        """
        info = api.ModelInfo(model_id=self.model_id)
        for name, message in {
            "CreateOrUpdateModel": api.CreateOrUpdateModelRequest(model_info=info),
            "RetrieveModels": api.RetrieveModelsRequest(model_ids=[self.model_id]),
            "RetrieveVersionInfos": api.RetrieveVersionInfosRequest(model_id=self.model_id),
            "CreateVersion": header(self.model_id, 0),
            "RetrieveVersionData": api.RetrieveVersionDataRequest(model_id=self.model_id, version_number=1),
            "DeleteModel": api.DeleteModelRequest(model_id=self.model_id),
            "Version": common.VersionRequest(),
            "Status": common.StatusRequest(names=["*"]),
        }.items():
            raw = UNKNOWN_FIELDS + message.SerializeToString() + UNKNOWN_FIELDS
            self.assertEqual(len(self.replies(name, requests(name, raw))), 1, name)


class StreamTests(HostileTestCase):
    """
    Uploads whose messages come in the wrong order.
    """

    def refuse(self, *messages: Any) -> None:
        """
        Check that an upload is refused before it ends, with a text that speaks of headers or bodies.
        """
        upload = Upload(self.client, *messages)
        self.addCleanup(upload.end)
        said = self.assert_refused(StatusCode.INVALID_ARGUMENT, upload.result)
        self.assertTrue("header" in said or "body" in said, said)

    def test_empty_stream(self) -> None:
        """
        A stream without messages is refused.
        """
        self.assert_refused(StatusCode.INVALID_ARGUMENT, lambda: self.client.call("CreateVersion", []), "header")

    def test_no_header(self) -> None:
        """
        A stream that does not begin with a header is refused at once.
        """
        for first in (body(b"data"), body(b""), b"", b"\x12\x00", UNKNOWN_FIELDS, b"\x22\x00"):
            self.refuse(first)
            self.refuse(first, header(self.model_id, 4))
        self.assert_no_version()

    def test_header_without_version_info(self) -> None:
        """
        A header that names no version is refused.
        """
        self.refuse(api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header()))

    def test_second_header(self) -> None:
        """
        A second header is refused, wherever it comes.
        """
        first = header(self.model_id, 4)
        self.refuse(first, first)
        self.refuse(first, body(b"da"), first)
        self.refuse(first, body(b"data"), first)
        self.refuse(header(self.model_id, 0), header(self.model_id, 0))
        self.assert_no_version()

    def test_neither_header_nor_body(self) -> None:
        """
        A message with neither is refused, even if no data is missing.
        """
        for odd in (b"", UNKNOWN_FIELDS):
            self.refuse(header(self.model_id, 4), odd)
            self.refuse(header(self.model_id, 4), body(b"data"), odd)
            self.refuse(header(self.model_id, 0), odd)
        self.assert_no_version()

    def test_both(self) -> None:
        """
        Of a header and a body in one message the last one counts, as protobuf has it.
        """
        first, last = header(self.model_id, 4).SerializeToString(), body(b"data").SerializeToString()
        self.refuse(first + last)
        self.refuse(first, last + first)
        self.assert_no_version()
        self.assertEqual(self.client.upload(last + first, [first + last]).data_hash, data_hash(b"data"))


class LargeMessageTests(HostileTestCase):
    """
    Messages near the limit, and hostile texts.
    """

    def test_message_of_64_mib(self) -> None:
        """
        A message of exactly 64 MiB is accepted.
        """
        data = bytes(LIMIT_BYTES - 10)
        message = body(data).SerializeToString()
        self.assertEqual(len(message), LIMIT_BYTES)
        info = self.client.upload(header(self.model_id, len(data)), [message])
        self.assertEqual(info.data_size, len(data))
        self.assertEqual(info.data_hash, data_hash(data))

    def test_message_over_64_mib(self) -> None:
        """
        A message of one byte more is refused, in an upload and in any other call, and leaves nothing.
        """
        data = bytes(LIMIT_BYTES - 9)
        upload = Upload(self.client, header(self.model_id, len(data)), body(data))
        self.addCleanup(upload.end)
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, upload.result)
        request = api.DeleteModelRequest(model_id="x" * LIMIT_BYTES)
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, lambda: self.client.call("DeleteModel", request))
        self.assert_no_version()

    def test_texts_stay_short(self) -> None:
        """
        The text of any refusal has at most 1 KB, and arrives.
        """
        for hostile in HOSTILE_TEXTS:
            for code, call in self.calls(hostile):
                self.assertTrue(self.assert_refused(code, call))

    def calls(self, hostile: str) -> Iterator[tuple[StatusCode, Callable[[], Any]]]:
        """
        Return calls that send a hostile text, with the expected codes.
        """
        not_found, invalid = StatusCode.NOT_FOUND, StatusCode.INVALID_ARGUMENT
        client, model_id = self.client, self.model_id
        yield invalid, lambda: client.save_model(hostile)
        yield not_found, lambda: client.delete_model(hostile)
        yield not_found, lambda: client.models(model_id, hostile)
        yield not_found, lambda: client.infos(hostile)
        yield not_found, lambda: client.infos(hostile, -1)
        yield not_found, lambda: client.data(hostile, 1)
        yield not_found, lambda: client.create(hostile, b"data")
        yield not_found, lambda: list(client.updates(hostile))
        yield invalid, lambda: client.models(handle=hostile)
        yield invalid, lambda: client.infos(model_id, handle=hostile)
        yield invalid, lambda: client.infos(model_id, 1, handle=hostile)
        yield invalid, lambda: client.create(model_id, b"data", data_hash=hostile)

    def test_long_lists(self) -> None:
        """
        Requests that name very many models or versions are answered or refused, and block no other call for good.
        """
        self.client.create(self.model_id, b"data")
        other = self.connect(**{"grpc.max_receive_message_length": -1})
        self.assertEqual(len(other.infos(self.model_id, *[1] * 100_000).version_infos), 100_000)
        too_many = api.RetrieveVersionInfosRequest(model_id=self.model_id, version_numbers=[1] * 2_000_000)
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, lambda: self.client.call("RetrieveVersionInfos", too_many))
        too_many_models = api.RetrieveModelsRequest(model_ids=[self.model_id] * 2_000_000)
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, lambda: self.client.call("RetrieveModels", too_many_models))


class UnknownMethodTests(SharedEdgeTestCase):
    """
    Unknown calls.
    """

    def test_unknown_methods(self) -> None:
        """
        A call that the service does not have is unimplemented, as is one of another service.
        """
        channel: Any = self.client.channel
        for path in (f"/{SERVICE_NAME}/DeleteVersion", f"/{SERVICE_NAME}/", "/cogmentAPI.Nothing/Version", "/x"):
            for call in (partial(channel.unary_unary(path), b""), partial(channel.stream_unary(path), iter([b""]))):
                self.assert_refused(StatusCode.UNIMPLEMENTED, partial(call, timeout=30))
