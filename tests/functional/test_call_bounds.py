"""
Tests for what one call may bring: its metadata and the size and form of its request.
"""

from functools import partial
from typing import Any

import grpc
from grpc import StatusCode

from tests.support.client import DEADLINE_SECONDS
from tests.support.registry_case import SharedRegistryTestCase
from twisted_registry.protocol.limits import METADATA_MAX_BYTES, TOKEN_MAX_BYTES
from twisted_registry.protocol.messages import SERVICE_NAME

TRIES = 50
"""Where gRPC refuses at random it refuses at least one of so many."""


class MetadataTests(SharedRegistryTestCase):
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


class CompressionTests(SharedRegistryTestCase):
    """
    Requests that are compressed.
    """

    def test_refused(self) -> None:
        """
        They are refused unread, in each call, health checks too: a kilobyte may unpack to a megabyte.
        """
        channel: Any = self.client.channel
        for path in (f"/{SERVICE_NAME}/Status", f"/{SERVICE_NAME}/CreateVersion", "/grpc.health.v1.Health/Check"):
            for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
                call = partial(channel.stream_unary(path), iter([bytes(100_000)]), compression=compression)
                self.assert_refused(
                    StatusCode.UNIMPLEMENTED, partial(call, timeout=DEADLINE_SECONDS), "Compression", "disabled"
                )
