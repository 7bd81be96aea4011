"""
Retrievals whose connection is lost, and data that is not what it should be.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import data_hash
from tests.support.edge import EdgeTestCase
from tests.support.fake_server import FakeServer, failing_stream
from tests.support.registry_case import RegistryTestCase
from tests.support.relay import Relay
from twisted_registry.client import BlockingClient, errors
from twisted_registry.protocol.call_metadata import CHECKSUM_KEY, Checksum, checksum_in, checksum_metadata
from twisted_registry.protocol.messages import SERVICE, api

DATA = os.urandom(30_000_000)


class LostConnectionCase(RegistryTestCase):
    """
    A client that reaches the daemon through a relay.
    """

    # Most of the data is still at the server when the first chunk arrives.
    flags: ClassVar = ["--sent-model-version-data-chunk-size", "1000000"]

    def setUp(self) -> None:
        """
        Archive a version.
        """
        super().setUp()
        self.relay = Relay(self.daemon.port)
        self.addCleanup(self.relay.close)
        self.registry = BlockingClient(self.relay.address)
        self.addCleanup(self.registry.close)
        self.registry.save_model("walker")
        self.info = self.registry.store("walker", DATA)
        self.reported_bytes = 0
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def tell(self, size_bytes: int) -> None:
        """
        Break the connection once, halfway.
        """
        before, self.reported_bytes = self.reported_bytes, self.reported_bytes + size_bytes
        if before < len(DATA) // 2 <= self.reported_bytes:
            self.relay.cut()


class LostConnectionTests(LostConnectionCase, EdgeTestCase):
    """
    Connections that are lost halfway.
    """

    def test_bytes(self) -> None:
        """
        A lost connection does not end a retrieval, and no byte is reported twice.
        """
        self.assertEqual(self.registry.retrieve("walker", progress=self.tell), DATA)
        self.assertEqual(self.reported_bytes, len(DATA))

    def test_file(self) -> None:
        """
        A file is whole although the connection was lost while it was written.
        """
        self.registry.retrieve_file("walker", self.folder / "model", progress=self.tell)
        self.assertEqual((self.folder / "model").read_bytes(), DATA)

    def test_chunks(self) -> None:
        """
        Chunks go on where the connection was lost.
        """
        chunks = [bytes(chunk) for chunk in self.registry.retrieve_chunks("walker", progress=self.tell)]
        self.assertEqual(b"".join(chunks), DATA)

    def test_server_that_stays_away(self) -> None:
        """
        If the server stays away, a retrieval into a file fails and leaves nothing behind.
        """
        impatient = BlockingClient(self.relay.address, retry_seconds=0.1)
        self.addCleanup(impatient.close)

        def tell(size_bytes: int) -> None:
            self.relay.port = 0
            self.relay.cut()

        with self.assertRaises(errors.Unavailable):
            impatient.retrieve_file("walker", self.folder / "model", progress=tell)
        self.assertEqual(list(self.folder.iterdir()), [])


class DaemonTests(LostConnectionCase):
    """
    A daemon that dies, and one that stops.
    """

    def test_server_that_dies(self) -> None:
        """
        A retrieval of an archived version survives the server's death.
        """
        chunks = self.registry.retrieve_chunks("walker")
        received = [bytes(next(chunks))]
        self.relay.port = 0  # another daemon may have the old one next
        self.crash()
        self.relay.port = self.daemon.port
        self.relay.cut()
        received += map(bytes, chunks)
        self.assertEqual(b"".join(received), DATA)

    def test_chunks_nobody_wants_any_more(self) -> None:
        """
        If the reader of the chunks stops in the middle, the call ends.
        """
        chunks = self.registry.retrieve_chunks("walker")
        next(chunks)
        chunks.close()
        self.assertEqual(self.daemon.stop(), 0)


class WrongDataTests(SynchronousTestCase):
    """
    A server whose data is not what it announces.
    """

    def server(self, *chunks: bytes, printed: Checksum | None = None) -> BlockingClient:
        """
        Create a server that sends these chunks of a version that is ``b"right"``, and a client of it.

        Args:
            reported: the trailing metadata; ``None`` for none, as from other servers.
        """

        def info(request: Any, context: grpc.ServicerContext) -> Any:
            message = api.ModelVersionInfo(
                model_id="walker", version_number=3, data_hash=data_hash(b"right"), data_size=5
            )
            return api.RetrieveVersionInfosReply(version_infos=[message])

        def data(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            if printed is not None:
                context.set_trailing_metadata(checksum_metadata(printed.size_bytes, printed.sha256, printed.xxh3))
            return (api.RetrieveVersionDataReplyChunk(data_chunk=chunk) for chunk in chunks)

        server = FakeServer(RetrieveVersionInfos=info, RetrieveVersionData=data)
        self.addCleanup(server.stop)
        client = BlockingClient(server.address, retry_seconds=0)
        self.addCleanup(client.close)
        return client

    def assert_refused(self, client: BlockingClient, version: Any) -> None:
        """
        Check that a version is refused in each form.
        """
        path = Path(self.mktemp())
        received: list[bytes] = []
        for retrieve in (
            lambda: client.retrieve("walker", version),
            lambda: client.retrieve_file("walker", path, version),
            lambda: received.extend(map(bytes, client.retrieve_chunks("walker", version))),
        ):
            with self.assertRaises(errors.CorruptTransfer) as caught:
                retrieve()
            self.assertEqual((caught.exception.model_id, caught.exception.version_number), ("walker", 3))
            self.assertIsInstance(caught.exception, errors.CorruptVersion)
        self.assertFalse(path.exists())
        self.assertLess(len(b"".join(received)), 5)

    def test_server_of_another_make(self) -> None:
        """
        Without hashes in the trailing metadata, the data is compared with the version's info.
        """
        client = self.server(b"ri", b"ght")
        for version in (3, -1, client.latest("walker")):
            self.assertEqual(client.retrieve("walker", version), b"right")
            self.assertEqual(b"".join(client.retrieve_chunks("walker", version)), b"right")

    def test_wrong_bytes(self) -> None:
        """
        Bytes with another hash are refused: by number, by selector, and by info.
        """
        client = self.server(b"wr", b"ong")
        for version in (3, -1, client.latest("walker")):
            self.assert_refused(client, version)

    def test_too_few_and_too_many(self) -> None:
        """
        Data that is shorter or longer than it should be is refused.
        """
        self.assert_refused(self.server(b"ri", b"gh"), 3)
        self.assert_refused(self.server(b"rig", b"htx"), 3)

    def test_wrong_digest(self) -> None:
        """
        Bytes that do not have the digest that the server tells behind them are refused.
        """
        client = self.server(b"ri", b"ghx", printed=Checksum(5, data_hash(b"right"), "0" * 32))
        with self.assertRaises(errors.CorruptTransfer):
            client.retrieve("walker", 3)

    def test_another_version_than_the_info_is_of(self) -> None:
        """
        Data that the server itself says has another hash than the info is refused, whatever its digest.
        """
        client = self.server(b"ri", b"ghx", printed=Checksum(5, data_hash(b"righx"), ""))
        self.assert_refused(client, client.latest("walker"))

    def test_damage_on_the_servers_disk(self) -> None:
        """
        If the server finds damage, the error names the damaged version.
        """
        server = FakeServer(RetrieveVersionData=failing_stream(grpc.StatusCode.DATA_LOSS, "its file is short"))
        self.addCleanup(server.stop)
        with BlockingClient(server.address) as client, self.assertRaises(errors.CorruptVersion) as caught:
            client.retrieve("walker", 3)
        self.assertEqual(caught.exception.version_number, 3)

    def test_more_than_there_should_be(self) -> None:
        """
        If the size is known, a retrieval ends at the first extra byte: a server might never stop sending.
        """

        def endless(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            while context.is_active():
                yield api.RetrieveVersionDataReplyChunk(data_chunk=b"right")

        def info(request: Any, context: grpc.ServicerContext) -> Any:
            message = api.ModelVersionInfo(
                model_id="walker", version_number=3, data_hash=data_hash(b"right"), data_size=5
            )
            return api.RetrieveVersionInfosReply(version_infos=[message])

        server = FakeServer(RetrieveVersionData=endless, RetrieveVersionInfos=info)
        self.addCleanup(server.stop)
        with BlockingClient(server.address) as client:
            self.assert_refused(client, -1)

    def test_not_a_message(self) -> None:
        """
        Replies that are not messages of this API raise an error of the registry, in every call.
        """

        def noise(request: Any, context: grpc.ServicerContext) -> Any:
            return b"\xff\xff"

        def noises(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
            yield b"\xff\xff"

        streams = ("RetrieveVersionData", "VersionUpdate")
        answers = {method.name: noises if method.name in streams else noise for method in SERVICE.methods}
        server = FakeServer(None, None, **answers)
        self.addCleanup(server.stop)
        with BlockingClient(server.address) as client:
            for ask in (
                lambda: client.retrieve("walker", 3),
                lambda: list(client.retrieve_chunks("walker", 3)),
                lambda: client.latest("walker"),
                lambda: list(client.models()),
                lambda: client.publish("walker", b"right"),
                lambda: next(client.track("walker")),
                client.server_versions,
                client.is_serving,
            ):
                self.assertRaises(errors.Unsupported, ask)

    def test_strange_checksums(self) -> None:
        """
        Trailing metadata that cannot be read is ignored.
        """
        for said in ("", "5", "five hash", "1" * 5000 + " hash", "-5 hash", "\u0665 hash"):
            self.assertIsNone(checksum_in([(CHECKSUM_KEY, said)]))
        self.assertIsNone(checksum_in([(CHECKSUM_KEY, b"5 hash")]))

    def test_nothing_comes(self) -> None:
        """
        If nothing arrives for too long, the retrieval fails.
        """

        def silent(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait()
            yield b""

        server = FakeServer(RetrieveVersionData=silent)
        self.addCleanup(server.stop)
        with BlockingClient(server.address, idle_seconds=0.1) as client, self.assertRaises(errors.DeadlineExceeded):
            client.retrieve("walker", 3)
