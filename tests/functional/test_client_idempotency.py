"""
Tests of idempotency keys: a creation whose answer was lost is repeated with the same key, if the server remembers keys.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.edge import EdgeTestCase
from tests.support.fake_server import Answer, FakeServer, refusal
from tests.support.registry_case import RegistryTestCase
from tests.support.relay import Relay
from twisted_registry.client import BlockingClient, VersionInfo, errors
from twisted_registry.protocol.call_metadata import IDEMPOTENCY_KEY_ENTRY, IDEMPOTENCY_STATUS
from twisted_registry.protocol.messages import api, common

DATA = b"weights"
SHA256 = "mhKQONmgCu0M9qfqBZylCoE0SQYauHhIzxoT6v3zOyw="


class LostAnswerCase(RegistryTestCase):
    """
    A client and a daemon, with a relay between them that loses data.
    """

    def setUp(self) -> None:
        """
        Create a model, and connect the client.
        """
        super().setUp()
        self.relay = Relay(self.daemon.port)
        self.addCleanup(self.relay.close)
        self.registry = BlockingClient(self.relay.address)
        self.addCleanup(self.registry.close)
        self.registry.save_model("walker")
        self.pool = ThreadPoolExecutor(1)
        self.addCleanup(self.pool.shutdown, wait=False)

    def numbers(self) -> list[int]:
        """
        Return the numbers of the model's versions.
        """
        return [info.version_number for info in self.client.infos("walker").version_infos]

    def lose(self, create: Callable[[], VersionInfo], is_lost: Callable[[], object]) -> VersionInfo:
        """
        Create a version, cut the connection when something is true, and return the version's info.
        """
        creating = self.pool.submit(create)
        self.wait_until_true(is_lost, "the answer is lost")
        self.relay.cut()
        return creating.result(60)


class LostAnswerTests(LostAnswerCase, EdgeTestCase):
    """
    A server that runs on.
    """

    def test_answer_is_lost(self) -> None:
        """
        The version that the first attempt created is returned, and there is one version.
        """
        for number, create in enumerate((self.registry.publish, self.registry.store), start=1):
            self.relay.mute()
            info = self.lose(
                lambda create=create: create("walker", DATA),  # type: ignore[misc]
                lambda number=number: len(self.numbers()) == number,  # type: ignore[misc]
            )
            self.assertEqual(info.version_number, number)
        self.assertEqual(self.numbers(), [1, 2])

    def test_data_is_lost(self) -> None:
        """
        A version that did not reach the server is created by the second attempt, while the same server runs on.
        """
        for number, create in enumerate((self.registry.publish, self.registry.store), start=1):
            sent = threading.Event()
            self.relay.swallow_after(0)
            info = self.lose(
                lambda create=create, sent=sent: create("walker", DATA, progress=lambda _: sent.set()),  # type: ignore[misc]
                sent.is_set,
            )
            self.assertEqual(info.version_number, number)
        self.assertEqual(self.numbers(), [1, 2])

    def test_status(self) -> None:
        """
        The server announces that it remembers the keys of both kinds of version.
        """
        statuses = self.registry.statuses(IDEMPOTENCY_STATUS)
        self.assertEqual(statuses, {IDEMPOTENCY_STATUS: "transient,archived"})


class CrashTests(LostAnswerCase):
    """
    A server that crashes.
    """

    def test_restart(self) -> None:
        """
        After a crash of the server, the archived version that the first attempt created is returned.
        """
        self.relay.mute()
        creating = self.pool.submit(self.registry.store, "walker", DATA)
        self.wait_until_true(self.numbers, "the version is there")
        self.relay.port = 0  # another daemon may have the old one next
        self.crash()
        self.relay.port = self.daemon.port
        self.relay.cut()
        self.assertEqual(creating.result(60).version_number, 1)
        self.assertEqual(self.numbers(), [1])


class ServerTests(SynchronousTestCase):
    """
    Servers that lose answers, and announce whether they remember keys.
    """

    def setUp(self) -> None:
        """
        Count attempts.
        """
        self.attempts = 0
        self.server = FakeServer()

    def connect(self, keys: str | None, retry_seconds: float = 1.0, **answers: Answer) -> BlockingClient:
        """
        Start a server, and return a client of it.

        Args:
            keys: the server's announcement; ``None`` for none.
        """

        def status(request: bytes, context: grpc.ServicerContext) -> Any:
            return common.StatusReply(statuses={} if keys is None else {IDEMPOTENCY_STATUS: keys})

        all_answers: dict[str, Any] = {"CreateVersion": self.lose_first, "Status": status}
        server = FakeServer(**all_answers | answers)
        self.addCleanup(server.stop)
        client = BlockingClient(server.address, retry_seconds=retry_seconds)
        self.addCleanup(client.close)
        self.server = server
        return client

    def lose_first(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        """
        Receive a version, and lose the first answer.
        """
        header, *_ = map(api.CreateVersionRequestChunk.FromString, requests)
        self.attempts += 1
        if self.attempts == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
        info = header.header.version_info
        info.version_number, info.data_hash = 4, SHA256
        return api.CreateVersionReply(version_info=info)

    def keys(self) -> list[str]:
        """
        Return the keys of the calls that had one.
        """
        found = [metadata.get(IDEMPOTENCY_KEY_ENTRY, "") for metadata in self.server.metadata]
        return [key for key in found if key]

    def test_same_key(self) -> None:
        """
        All attempts of a creation have the same random key, and another creation has another one.
        """
        client = self.connect("transient,archived")
        self.assertEqual(client.publish("walker", DATA).version_number, 4)
        client.publish("walker", DATA)
        first, second, other = self.keys()
        self.assertEqual(first, second)
        self.assertNotEqual(first, other)
        self.assertRegex(first, r"\A[0-9a-f]{32}\Z")

    def test_kinds(self) -> None:
        """
        A server that remembers the keys of transient versions only is sent an archived version once.
        """
        infos = refusal(grpc.StatusCode.NOT_FOUND)
        for keys in ("transient", "", None):
            self.attempts = 0
            client = self.connect(keys, RetrieveVersionInfos=infos)
            self.assertRaises(errors.CreationUncertain, client.store, "walker", DATA)
            self.assertEqual(self.attempts, 1)
        self.attempts = 0
        self.assertEqual(self.connect("transient").publish("walker", DATA).version_number, 4)

    def test_data_that_cannot_be_sent_again(self) -> None:
        """
        Data that can be read once is not sent again: the client looks for the version.
        """
        infos = refusal(grpc.StatusCode.NOT_FOUND)
        client = self.connect("transient,archived", RetrieveVersionInfos=infos)
        with self.assertRaises(errors.CreationUncertain):
            client.publish("walker", iter([DATA]), size_bytes=len(DATA))
        self.assertEqual(self.attempts, 1)

    def test_refused_attempt(self) -> None:
        """
        If a later attempt is refused, the version of the first one may exist: the error says so.
        """

        def create(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            list(requests)
            self.attempts += 1
            code = grpc.StatusCode.UNAVAILABLE if self.attempts == 1 else grpc.StatusCode.FAILED_PRECONDITION
            context.abort(code, "lost or read-only")

        client = self.connect("transient,archived", CreateVersion=create)
        with self.assertRaises(errors.CreationUncertain) as caught:
            client.store("walker", DATA)
        self.assertIs(caught.exception.is_absent, False)
        self.assertEqual(self.attempts, 2)

    def test_model_deleted_meanwhile(self) -> None:
        """
        If the model is gone at a later attempt, so is the version: the error says that the model is gone.
        """

        def create(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            list(requests)
            self.attempts += 1
            code = grpc.StatusCode.UNAVAILABLE if self.attempts == 1 else grpc.StatusCode.NOT_FOUND
            context.abort(code, "lost or gone")

        client = self.connect("transient,archived", CreateVersion=create)
        self.assertRaises(errors.UnknownModel, client.publish, "walker", DATA)
