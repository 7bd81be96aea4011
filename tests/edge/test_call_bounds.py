"""
Tests for the limits of one call: its metadata and the size and form of its request.
"""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
from grpc import StatusCode

from tests.support.client import DEADLINE_SECONDS, body, header
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from twisted_registry.domain.models import MAX_ENTRIES
from twisted_registry.protocol.limits import (
    METADATA_MAX_BYTES,
    MODELS_REQUEST_MAX_BYTES,
    REQUEST_MAX_BYTES,
    TOKEN_MAX_BYTES,
)
from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME, api

UNKNOWN_FIELD = b"\xfa\x3f\x00"

TRIES = 50
"""If gRPC refused at random, it would refuse at least one of so many."""


class MetadataTests(SharedEdgeTestCase):
    """
    Metadata of calls, such as tokens.
    """

    def call_with_metadata(self, *pairs: tuple[str, str]) -> Any:
        """
        Ask for the versions of the service.
        """
        channel: Any = self.client.channel
        return channel.unary_unary(f"/{SERVICE_NAME}/Version")(b"", metadata=pairs, timeout=DEADLINE_SECONDS)

    def test_taken(self) -> None:
        """
        The longest token is taken every time, also with other metadata beside it.
        """
        token = ("authorization", "Bearer " + "x" * TOKEN_MAX_BYTES)
        rest = [(f"x-{number}", "y" * 1024) for number in range(14)]
        for _ in range(TRIES):
            self.assertTrue(self.call_with_metadata(token, *rest))

    def test_refused(self) -> None:
        """
        Metadata over the limit is refused every time.
        """
        for _ in range(TRIES):
            self.assert_refused(
                StatusCode.RESOURCE_EXHAUSTED,
                lambda: self.call_with_metadata(("authorization", "x" * METADATA_MAX_BYTES)),
                "metadata",
            )


class CompressionTests(SharedEdgeTestCase):
    """
    Requests that are compressed.
    """

    def test_refused(self) -> None:
        """
        They are refused unread in every call, including health checks: a kilobyte may unpack to a megabyte.
        """
        channel: Any = self.client.channel
        for path in (f"/{SERVICE_NAME}/Status", f"/{SERVICE_NAME}/CreateVersion", "/grpc.health.v1.Health/Check"):
            for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
                call = partial(channel.stream_unary(path), iter([bytes(100_000)]), compression=compression)
                self.assert_refused(
                    StatusCode.UNIMPLEMENTED, partial(call, timeout=DEADLINE_SECONDS), "Compression", "disabled"
                )


class RequestSizeTests(SharedEdgeTestCase):
    """
    The size of requests.
    """

    def setUp(self) -> None:
        """
        Create the test's model with a version.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"data")

    def assert_too_large(self, name: str, request: Any, *said: str) -> None:
        """
        Assert that a request is refused for its size.
        """
        self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, partial(self.replies, name, request), *said)

    def replies(self, name: str, request: Any) -> list[Any]:
        """
        Make a call, and return its replies.
        """
        method = SERVICE.methods_by_name[name]
        reply = self.client.call(name, [request] if method.client_streaming else request)
        return list(reply) if method.server_streaming else [reply]

    def test_any_call(self) -> None:
        """
        A request over the limit is refused before it is parsed, in every call, with both sizes in the text.
        """
        for method in SERVICE.methods:
            most = MODELS_REQUEST_MAX_BYTES if method.name == "RetrieveModels" else REQUEST_MAX_BYTES
            has_user_data = method.name in ("CreateOrUpdateModel", "CreateVersion")
            code = StatusCode.INVALID_ARGUMENT if has_user_data else StatusCode.RESOURCE_EXHAUSTED
            call = partial(self.replies, method.name, UNKNOWN_FIELD + bytes(most))
            self.assert_refused(code, call, str(most), method.input_type.name)

    def test_most_entries(self) -> None:
        """
        A request that names as many models or versions as allowed is served; one more is refused with advice.
        """
        other = self.connect(**{"grpc.max_receive_message_length": -1})
        self.assertEqual(len(other.infos(self.model_id, *[-1] * MAX_ENTRIES).version_infos), MAX_ENTRIES)
        self.assertEqual(len(other.models(*[self.model_id] * MAX_ENTRIES).model_infos), MAX_ENTRIES)
        for name, request in (
            ("RetrieveVersionInfos", api.RetrieveVersionInfosRequest(version_numbers=[1] * (MAX_ENTRIES + 1))),
            ("RetrieveModels", api.RetrieveModelsRequest(model_ids=["m"] * (MAX_ENTRIES + 1))),
        ):
            self.assert_too_large(name, request, str(MAX_ENTRIES + 1), f"at most {MAX_ENTRIES}")

    def test_fields_in_a_long_message(self) -> None:
        """
        The fields of a long request are counted before it is parsed, however their tags and lengths are written.
        """
        for field in (b"\x0a\x00", b"\x8a\x00\x00", b"\x0a\x80\x00", b"\xfa\x01\x00", b"\x10\x01", b"\xa3\x06\xa4\x06"):
            self.assert_too_large("RetrieveModels", field * (MODELS_REQUEST_MAX_BYTES // len(field)), "100000")

    def test_statuses(self) -> None:
        """
        A request may name a thousand statuses.
        """
        self.assertEqual(set(self.client.statuses("subscribers", *["nonsense"] * 999)), {"subscribers"})
        self.assert_refused(
            StatusCode.INVALID_ARGUMENT, lambda: self.client.statuses(*["nonsense"] * 1001), "1001", "'*'"
        )

    def test_metadata_of_many_pairs(self) -> None:
        """
        Many tiny pairs of metadata are refused like few large ones.
        """
        pairs = {str(number): "" for number in range(60_000)}
        for call in (
            lambda: self.client.save_model(self.model_id, **pairs),
            lambda: self.client.create(self.model_id, b"", user_data=pairs),
        ):
            self.assert_refused(StatusCode.INVALID_ARGUMENT, call, "metadata (user_data)", "262144")

    def test_header_beside_data(self) -> None:
        """
        A long message that holds more than data is refused.
        """
        first = header(self.model_id, REQUEST_MAX_BYTES)
        long_body = UNKNOWN_FIELD + body(bytes(REQUEST_MAX_BYTES)).SerializeToString()
        self.assert_refused(
            StatusCode.INVALID_ARGUMENT, lambda: self.client.upload(first, [long_body]), "only a data_chunk"
        )


class StandardServicesTests(EdgeTestCase):
    """
    Health and reflection have the same bounds as the other calls.
    """

    flags = ("--grpc-reflection", "--upload-idle-seconds", "1")
    paths = (
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    )

    def call(self, path: str, requests: Iterator[bytes]) -> list[bytes]:
        """
        Make a call with raw messages.
        """
        channel: Any = self.client.channel
        return list(channel.stream_stream(path)(requests, timeout=DEADLINE_SECONDS))

    def test_too_large(self) -> None:
        """
        A request over the limit is refused.
        """
        for path in self.paths:
            request = UNKNOWN_FIELD + bytes(REQUEST_MAX_BYTES)
            self.assert_refused(StatusCode.RESOURCE_EXHAUSTED, partial(self.call, path, iter([request])))

    def test_no_message(self) -> None:
        """
        Bytes that are not a message are INVALID_ARGUMENT.
        """
        for path in self.paths:
            self.assert_refused(StatusCode.INVALID_ARGUMENT, partial(self.call, path, iter([b"\xff"])))

    def test_nothing_comes(self) -> None:
        """
        A call that never sends its request is ended.
        """
        over = threading.Event()
        self.addCleanup(over.set)
        for path in self.paths:
            self.assert_refused(StatusCode.DEADLINE_EXCEEDED, partial(self.call, path, _nothing_until(over)))


def _nothing_until(over: threading.Event) -> Iterator[bytes]:
    over.wait(DEADLINE_SECONDS)
    yield from ()
