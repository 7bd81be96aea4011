"""
Creations through a proxy: the connection to it says nothing of the server behind it.
"""

import time
from collections.abc import Iterator
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fake_server import Answer, FakeServer, refusal
from twisted_registry.client import BlockingClient, errors
from twisted_registry.protocol.messages import api, common

LATE_SECONDS = 0.5


class ProxyTests(SynchronousTestCase):
    """
    A proxy receives a whole version and then ends the call.
    """

    def setUp(self) -> None:
        """
        Record when each event happens.
        """
        self.creations: list[float] = []
        self.began = 0.0

    def connect(self, retry_seconds: float = 1.0, **answers: Answer) -> BlockingClient:
        """
        Make a proxy before a server that has no versions, and a client of it.
        """
        all_answers: dict[str, Any] = {
            "CreateVersion": self.create,
            "RetrieveVersionInfos": refusal(grpc.StatusCode.NOT_FOUND),
            "Status": self.status,
        }
        server = FakeServer(**all_answers | answers)
        self.addCleanup(server.stop)
        client = BlockingClient(server.address, retry_seconds=retry_seconds)
        self.addCleanup(client.close)
        return client

    def create(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> None:
        """
        Take all, and lose it.
        """
        list(requests)
        self.creations.append(time.monotonic())
        context.abort(grpc.StatusCode.UNAVAILABLE, "upstream connect error or disconnect")

    def status(self, request: bytes, context: grpc.ServicerContext) -> Any:
        """
        Return the uptime of the server behind the proxy.
        """
        return common.StatusReply(statuses={"uptime_seconds": f"{time.monotonic() - self.began:.3f}"})

    def slow_source(self) -> Iterator[bytes]:
        """
        Let the server begin when the client is connected, and has not sent all.
        """
        yield b"wei"
        time.sleep(0.2)
        self.began = time.monotonic()
        time.sleep(0.2)
        yield b"ghts"

    def test_server_that_began_after_the_connection(self) -> None:
        """
        A server that began after the client had connected, but before the call was lost, may have got the version: it
        is not created again.
        """
        client = self.connect()
        with self.assertRaises(errors.CreationUncertain):
            client.publish("walker", self.slow_source(), size_bytes=7)
        self.assertEqual(len(self.creations), 1)

    def test_server_that_began_after_the_loss(self) -> None:
        """
        A server that began after the call was lost has not got it: it is created again.
        """

        def status(request: bytes, context: grpc.ServicerContext) -> Any:
            if self.began < self.creations[-1]:
                time.sleep(0.1)
                self.began = time.monotonic()
            return self.status(request, context)

        with self.assertRaises(errors.Unavailable):
            self.connect(retry_seconds=5.0, Status=status).publish("walker", b"weights")
        self.assertGreater(len(self.creations), 1)

    def test_servers_that_tell_no_uptime(self) -> None:
        """
        If the server reports no uptime, or an invalid one, the outcome is unknown.
        """
        for reported in ({}, {"uptime_seconds": "soon"}, {"uptime_seconds": "1" * 5000}):
            self.creations.clear()
            client = self.connect(Status=lambda *_, reported=reported: common.StatusReply(statuses=reported))
            with self.assertRaises(errors.CreationUncertain):
                client.publish("walker", b"weights")
            self.assertEqual(len(self.creations), 1)

    def test_version_that_comes_late(self) -> None:
        """
        A version that is there only a while after the call was lost is found.
        """

        def infos(request: bytes, context: grpc.ServicerContext) -> Any:
            if time.monotonic() < self.creations[-1] + LATE_SECONDS:
                context.abort(grpc.StatusCode.NOT_FOUND, "none yet")
            return api.RetrieveVersionInfosReply(version_infos=[self.version])

        def create(requests: Iterator[bytes], context: grpc.ServicerContext) -> None:
            header, *_ = map(api.CreateVersionRequestChunk.FromString, requests)
            self.version = header.header.version_info
            self.version.version_number = 4
            # base64 of the SHA-256 of no bytes at all, by sha256sum
            self.version.data_hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
            self.creations.append(time.monotonic())
            context.abort(grpc.StatusCode.UNAVAILABLE, "lost")

        client = self.connect(retry_seconds=30, CreateVersion=create, RetrieveVersionInfos=infos)
        self.assertEqual(client.publish("walker", b"").version_number, 4)
