"""
Creations that go on where they were interrupted.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.functional.test_client_idempotency import LostAnswerCase
from tests.support.client import data_hash
from tests.support.edge import EdgeTestCase
from tests.support.fake_server import Answer, FakeServer, failure, in_turn, refusal
from twisted_registry.client import BlockingClient, UploadState, VersionInfo, errors
from twisted_registry.client._types import Data
from twisted_registry.protocol.messages import api, common, v1

DATA = os.urandom(40_000_000)
MOST_AGAIN_BYTES = 8 * 1024 * 1024
"""How much may be sent again after an interruption."""

LOST = refusal(grpc.StatusCode.UNAVAILABLE, "lost")


class LostConnectionTests(LostAnswerCase, EdgeTestCase):
    """
    Connections that are lost near the end of an upload.
    """

    def interrupted(self, create: Callable[..., VersionInfo], data: Data, interrupt: Callable[[], None]) -> None:
        """
        Create a version, interrupt that once after nine tenths, and check that the rest alone was sent again.
        """
        reported: list[int] = []
        before = self.relay.carried_bytes

        def progress(size_bytes: int) -> None:
            sent = sum(reported)
            reported.append(size_bytes)
            if sent < len(DATA) * 9 // 10 <= sent + size_bytes and min(reported) > 0:
                interrupt()

        info = create("walker", data, {"step": "1"}, progress=progress)
        self.assertEqual((info.sha256, info.size_bytes, info.metadata), (data_hash(DATA), len(DATA), {"step": "1"}))
        self.assertLess(self.relay.carried_bytes - before, len(DATA) + MOST_AGAIN_BYTES)
        self.assertEqual(sum(reported), len(DATA))
        self.assertEqual(self.registry.version("walker", info.version_number), info)
        self.assertEqual(self.registry.retrieve("walker", info), DATA)

    def test_rest_alone_is_sent(self) -> None:
        """
        After a lost connection, the rest alone is sent, of data of each kind that can be read again.
        """
        path = Path(self.mktemp())
        path.write_bytes(DATA)
        with path.open("rb") as file:
            for data in (DATA, path, file):
                for create in (self.registry.publish, self.registry.store):
                    file.seek(0)
                    self.interrupted(create, data, self.relay.cut)
        self.assertEqual(len(list(self.registry.versions("walker"))), 6)

    def test_restarted_server(self) -> None:
        """
        So it is for an archived version if the server was started again meanwhile.
        """

        def restart() -> None:
            self.relay.port = 0
            self.relay.cut()
            self.restart()
            self.relay.port = self.daemon.port

        self.interrupted(self.registry.store, DATA, restart)
        self.assertEqual(len(list(self.registry.versions("walker"))), 1)

    def test_another_client(self) -> None:
        """
        With the same idempotency key, another client goes on; after that, the key returns the version.
        """
        impatient = BlockingClient(self.relay.address, retry_seconds=0)
        self.addCleanup(impatient.close)
        sent: list[int] = []

        def cut(size_bytes: int) -> None:
            sent.append(size_bytes)
            if sum(sent) > len(DATA) * 9 // 10:
                self.relay.cut()

        with self.assertRaises(errors.Unavailable):
            impatient.store("walker", DATA, progress=cut, idempotency_key="a key")
        before, reported = self.relay.carried_bytes, list[int]()
        for _ in range(2):
            info = self.registry.store("walker", DATA, progress=reported.append, idempotency_key="a key")
            self.assertEqual((info.version_number, info.sha256), (1, data_hash(DATA)))
        self.assertLess(self.relay.carried_bytes - before, len(DATA) // 10 + MOST_AGAIN_BYTES)
        self.assertEqual((sum(reported), self.numbers()), (2 * len(DATA), [1]))
        with self.assertRaises(errors.InvalidRequest):
            self.registry.store("walker", DATA[::-1], idempotency_key="a key")

    def test_state(self) -> None:
        """
        The state of an upload says how much is kept and until when, and later which version was created.
        """
        self.assertEqual(self.registry.upload_state("walker", "a key"), UploadState())
        hasty = BlockingClient(self.relay.address, retry_seconds=0)
        self.addCleanup(hasty.close)
        sent: list[int] = []

        def cut(size_bytes: int) -> None:
            sent.append(size_bytes)
            if sum(sent) > len(DATA) * 9 // 10:
                self.relay.cut()

        with self.assertRaises(errors.Unavailable):
            hasty.store("walker", DATA, progress=cut, idempotency_key="a key")
        state = self.registry.upload_state("walker", "a key")
        self.assertGreater(state.received_bytes, len(DATA) * 9 // 10 - MOST_AGAIN_BYTES)
        assert state.expires_ns is not None
        self.assertGreater(state.expires_ns, time.time_ns())
        info = self.registry.store("walker", DATA, idempotency_key="a key")
        self.assertEqual(self.registry.upload_state("walker", "a key"), UploadState(self.registry.get(info)))
        with self.assertRaises(errors.UnknownModel):
            self.registry.upload_state("runner", "a key")
        with self.assertRaises(errors.InvalidRequest):
            self.registry.upload_state("walker", "")

    def test_file_that_is_saved_meanwhile(self) -> None:
        """
        A file that changes between two attempts is refused, and no version is there.
        """
        path = Path(self.mktemp())
        path.write_bytes(DATA)

        def save() -> None:
            with path.open("r+b") as file:
                file.write(b"new")
            os.utime(path, ns=(1, 1))
            self.relay.cut()

        with self.assertRaises(errors.DataChanged):
            self.interrupted(self.registry.publish, path, save)
        self.assertEqual(self.numbers(), [])


class OtherServerTests(SynchronousTestCase):
    """
    Servers that answer in another way.
    """

    def connect(self, retry_seconds: float = 60.0, **answers: Answer) -> BlockingClient:
        """
        Start a server, and return a client of it.
        """
        self.called: list[str] = []
        self.offsets: list[int] = []

        def noted(name: str, answer: Answer) -> Answer:
            def note(request: Any, context: grpc.ServicerContext) -> Any:
                self.called.append(name)
                return answer(request, context)

            return note

        server = FakeServer(None, None, **{name: noted(name, answer) for name, answer in answers.items()})
        self.addCleanup(server.stop)
        client = BlockingClient(server.address, retry_seconds=retry_seconds)
        self.addCleanup(client.close)
        return client

    def take(self, request: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        """
        Answer CreateVersion of ``twisted_registry.v1``.
        """
        self.offsets.append(v1.CreateVersionRequest.FromString(next(request)).header.offset)
        for _ in request:
            pass
        return self.version()

    def version(self, **facts: Any) -> Any:
        """
        Make the version as it is sent.
        """
        right: dict[str, Any] = {"sha256": hashlib.sha256(DATA).digest(), "size_bytes": len(DATA), "archived": True}
        return v1.Version(**{"model_id": "walker", "number": 1, **right, **facts})

    @staticmethod
    def upload(**facts: Any) -> Answer:
        """
        Make an answer to GetUpload.
        """
        return lambda request, context: v1.Upload(**facts)

    def test_server_without_resumable_uploads(self) -> None:
        """
        A server without ``twisted_registry.v1`` gets the version by Cogment's service, and the next one at once.
        """

        def take(request: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            for _ in request:
                pass
            info = api.ModelVersionInfo(
                model_id="walker", version_number=1, archived=True, data_hash=data_hash(DATA), data_size=len(DATA)
            )
            return api.CreateVersionReply(version_info=info)

        reported: list[int] = []
        client = self.connect(CreateVersion=take)
        for _ in range(2):
            self.assertEqual(client.store("walker", DATA, progress=reported.append).sha256, data_hash(DATA))
        self.assertEqual((self.called, sum(reported)), (["CreateVersion"] * 2, 2 * len(DATA)))

    def test_details_need_the_api(self) -> None:
        """
        A server without ``twisted_registry.v1`` cannot set labels, metrics and aliases with a version: nothing is
        created, and the error says what would work.
        """
        client = self.connect(CreateVersion=self.take)
        for details in ({"labels": {"a": "b"}}, {"metrics": {"return": 1.0}}, {"aliases": "production"}):
            for data in (b"small", DATA):
                with self.assertRaises(errors.Unsupported) as caught:
                    client.store("walker", data, **details)
                self.assertIn("without labels, metrics and aliases", str(caught.exception))
        self.assertEqual(self.called, [])

    def test_smaller_and_unrepeatable_data(self) -> None:
        """
        Small data, data that can be read once, and data with a time of creation are sent by Cogment's service.
        """
        client = self.connect(CreateVersion=refusal(grpc.StatusCode.INVALID_ARGUMENT), v1_CreateVersion=self.take)
        for data, keywords in (
            (b"small", {}),
            (DATA, {"created_ns": 7}),
            (iter([DATA]), {"size_bytes": len(DATA)}),
        ):
            self.assertRaises(errors.InvalidRequest, client.store, "walker", data, **keywords)
        self.assertEqual(self.called, ["CreateVersion"] * 3)
        self.assertEqual(client.store("walker", DATA).version_number, 1)

    def test_upload_that_was_dropped(self) -> None:
        """
        If the server has dropped what it had received, it is asked again, and gets the data from its beginning.
        """
        client = self.connect(
            v1_CreateVersion=in_turn(LOST, failure(errors.WrongOffset(20_000_000, 0)), self.take),
            v1_GetUpload=in_turn(self.upload(received_bytes=20_000_000), self.upload()),
        )
        self.assertEqual(client.store("walker", DATA).version_number, 1)
        self.assertEqual((self.called.count("v1_GetUpload"), self.offsets), (2, [0]))

    def test_lost_answer(self) -> None:
        """
        If only the answer is lost, the version is found, and nothing is sent again.
        """

        def take(request: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            self.take(request, context)
            return LOST(request, context)

        reported: list[int] = []
        client = self.connect(v1_CreateVersion=take, v1_GetUpload=self.upload(version=self.version()))
        info = client.store("walker", DATA, progress=reported.append)
        self.assertEqual((info.version_number, info.sha256), (1, data_hash(DATA)))
        self.assertEqual((self.called, sum(reported)), (["v1_CreateVersion", "v1_GetUpload"], len(DATA)))

    def test_nobody_knows(self) -> None:
        """
        If the answer is lost, and the server cannot be asked, the creation is uncertain.
        """

        def take(request: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            self.take(request, context)
            return LOST(request, context)

        client = self.connect(retry_seconds=0.1, v1_CreateVersion=take, v1_GetUpload=LOST)
        self.assertRaises(errors.CreationUncertain, client.store, "walker", DATA)

    def test_lost_answer_to_data_that_is_read_once(self) -> None:
        """
        If only the answer is lost, the version is found although the data cannot be read again.
        """

        def take(request: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            self.take(request, context)
            return LOST(request, context)

        client = self.connect(
            v1_CreateVersion=take, v1_GetUpload=in_turn(self.upload(), self.upload(version=self.version()))
        )
        info = client.store("walker", iter([DATA]), size_bytes=len(DATA), labels={"a": "b"})
        self.assertEqual((info.version_number, info.sha256), (1, data_hash(DATA)))
        self.assertEqual(self.called, ["v1_CreateVersion", "v1_GetUpload", "v1_GetUpload"])

    def test_server_that_lost_the_api(self) -> None:
        """
        If the answer is lost, and the server that comes back has neither ``twisted_registry.v1`` nor keys, nothing is
        sent again: the version may exist.
        """

        def take(request: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            self.take(request, context)
            return LOST(request, context)

        client = self.connect(
            v1_CreateVersion=take, CreateVersion=self.take, Status=lambda request, context: common.StatusReply()
        )
        with self.assertRaises(errors.CreationUncertain):
            client.store("walker", DATA)
        self.assertEqual(self.called, ["v1_CreateVersion", "Status"])

    def test_everything_was_received(self) -> None:
        """
        If the server has all data, but no version, the header alone is sent.
        """
        client = self.connect(
            v1_CreateVersion=in_turn(LOST, self.take), v1_GetUpload=self.upload(received_bytes=len(DATA))
        )
        self.assertEqual(client.store("walker", DATA).version_number, 1)
        self.assertEqual(self.offsets, [len(DATA)])

    def test_archived_since(self) -> None:
        """
        A transient version that was archived before its creation is repeated is the right one.
        """
        archived = self.version(archived=True)
        client = self.connect(v1_CreateVersion=LOST, v1_GetUpload=self.upload(version=archived))
        self.assertTrue(client.publish("walker", DATA).archived)

        def take(request: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            self.take(request, context)
            return archived

        client = self.connect(v1_CreateVersion=in_turn(LOST, take), v1_GetUpload=self.upload())
        self.assertTrue(client.publish("walker", DATA).archived)
        # Only the server knows whether an earlier process has created it transient.
        client = self.connect(v1_CreateVersion=take, v1_GetUpload=self.upload(version=archived))
        self.assertTrue(client.publish("walker", DATA, idempotency_key="key").archived)
        self.assertEqual(self.called, ["v1_GetUpload", "v1_CreateVersion"])

    def test_wrong_answers(self) -> None:
        """
        A version with other data, of another model or of the other kind, and an impossible offset are refused.
        """
        other = hashlib.sha256(b"other").digest()
        for wrong, error in (
            ({"sha256": other}, errors.CorruptTransfer),
            ({"model_id": "runner"}, errors.BadReply),
            ({"archived": False}, (errors.BadReply, errors.CorruptTransfer)),
        ):
            version = self.version(**wrong)

            def take(request: Iterator[bytes], context: grpc.ServicerContext, version: Any = version) -> Any:
                self.take(request, context)
                return version

            self.assertRaises(error, self.connect(v1_CreateVersion=take).store, "walker", DATA)
            client = self.connect(v1_CreateVersion=LOST, v1_GetUpload=self.upload(version=version))
            self.assertRaises(error, client.store, "walker", DATA)
        client = self.connect(v1_CreateVersion=LOST, v1_GetUpload=self.upload(received_bytes=len(DATA) + 1))
        self.assertRaises(errors.BadReply, client.store, "walker", DATA)
