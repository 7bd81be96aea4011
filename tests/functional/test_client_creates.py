"""
Tests of creations whose connection is lost: the version exists once, or the caller learns that its outcome is unknown.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.edge import EdgeTestCase
from tests.support.registry_case import RegistryTestCase
from tests.support.relay import Relay
from twisted_registry.client import BlockingClient, VersionInfo, errors

SMALL = b"weights"
LARGE = os.urandom(10_000_000)
HALF_BYTES = 5_000_000


class LostConnectionCase(RegistryTestCase):
    """
    Between the client and the daemon is a relay.
    """

    def setUp(self) -> None:
        """
        Make a model, and connect the client, so that what is lost is not the beginning of the connection.
        """
        super().setUp()
        self.relay = Relay(self.daemon.port)
        self.addCleanup(self.relay.close)
        self.registry = self.make_client()
        self.registry.save_model("walker")
        self.pool = ThreadPoolExecutor(1)
        # Not waited for: in a failed test, the event that ends it may never happen.
        self.addCleanup(self.pool.shutdown, wait=False)

    def make_client(self, **options: Any) -> BlockingClient:
        """
        Make a client behind the relay.
        """
        registry = BlockingClient(self.relay.address, **options)
        self.addCleanup(registry.close)
        return registry

    def while_running(self, create: Callable[[], VersionInfo], mishap: Callable[[], None]) -> VersionInfo:
        """
        Create a version in another thread while a fault occurs, and return its info.
        """
        creating = self.pool.submit(create)
        mishap()
        return creating.result(60)

    def numbers(self) -> list[int]:
        """
        Return the numbers of the existing versions.
        """
        return [info.version_number for info in self.client.infos("walker").version_infos]

    def wait_for_version(self) -> None:
        """
        Wait until the daemon has a version.
        """
        self.wait_until_true(self.numbers, "the version is there")

    def wait_for_bytes(self, size_bytes: int) -> None:
        """
        Wait until so much was sent.
        """
        self.wait_until_true(lambda: self.relay.carried_bytes >= size_bytes, "it has sent as much")


class LostConnectionTests(LostConnectionCase, EdgeTestCase):
    """
    Connections that are lost, to a server that runs on.
    """

    def test_answer_is_lost(self) -> None:
        """
        If the version exists and its answer is lost, the client finds it and returns its info.
        """
        for create, number in ((self.registry.publish, 1), (self.registry.store, 2)):
            self.relay.mute()

            def mishap(number: int = number) -> None:
                self.wait_until_true(lambda: len(self.numbers()) == number, "the version is there")
                self.relay.cut()

            info = self.while_running(lambda create=create: create("walker", SMALL), mishap)  # type: ignore[misc]
            self.assertEqual(info.version_number, number)
        self.assertEqual(self.numbers(), [1, 2])

    def test_connection_is_lost_halfway(self) -> None:
        """
        If the connection is lost before everything was sent, the version is created again, and exists once.
        """
        self.relay.swallow_after(HALF_BYTES)

        def mishap() -> None:
            self.wait_for_bytes(HALF_BYTES)
            self.relay.cut()

        info = self.while_running(lambda: self.registry.publish("walker", LARGE), mishap)
        self.assertEqual((info.version_number, self.numbers()), (1, [1]))
        self.assertEqual(self.client.data("walker", 1), LARGE)

    def test_progress_takes_bytes_back(self) -> None:
        """
        If a version is sent again from its beginning, progress first takes back the reported bytes, so that their sum
        is right.
        """
        self.relay.swallow_after(HALF_BYTES)
        reported: list[int] = []

        def mishap() -> None:
            self.wait_for_bytes(HALF_BYTES)
            self.relay.cut()

        # With a time of creation, an upload does not go on where it was interrupted.
        self.while_running(
            lambda: self.registry.publish("walker", LARGE, created_ns=7, progress=reported.append), mishap
        )
        self.assertEqual(sum(reported), len(LARGE))
        taken_back = [size_bytes for size_bytes in reported if size_bytes < 0]
        self.assertEqual(len(taken_back), 1)
        self.assertEqual(sum(reported[: reported.index(taken_back[0]) + 1]), 0)

    def test_like_it_but_of_another_kind(self) -> None:
        """
        A version that has the same bytes and the same time, but is archived or has other metadata, is not mistaken for
        the one whose answer was lost, if that cannot be sent again.
        """
        created_ns = 7
        impatient = self.make_client(retry_seconds=1)
        impatient.model("walker")
        self.registry.store("walker", SMALL, created_ns=created_ns)
        self.registry.publish("walker", SMALL, {"step": "1"}, created_ns=created_ns)
        self.relay.swallow_after(0)
        sent = threading.Event()

        def mishap() -> None:
            self.assertTrue(sent.wait(60))
            self.relay.cut()

        with self.assertRaises(errors.CreationUncertain):
            self.while_running(
                lambda: impatient.publish(
                    "walker", iter([SMALL]), size_bytes=len(SMALL), created_ns=created_ns, progress=lambda _: sent.set()
                ),
                mishap,
            )

    def test_archived_since(self) -> None:
        """
        A transient version that was archived before its creator asks for it is the one whose answer was lost, also if
        its data cannot be sent again.
        """
        direct = BlockingClient(self.daemon.address)
        self.addCleanup(direct.close)
        self.registry.store("walker", SMALL, created_ns=7)
        self.relay.mute()

        def mishap() -> None:
            self.wait_until_true(lambda: self.numbers() == [1, 2], "the version is there")
            direct.archive("walker@2")
            self.relay.cut()

        info = self.while_running(
            lambda: self.registry.publish("walker", iter([SMALL]), size_bytes=len(SMALL), created_ns=7), mishap
        )
        self.assertEqual((info.version_number, info.archived, self.numbers()), (2, True, [1, 2]))

    def test_nobody_knows(self) -> None:
        """
        If all data was sent and cannot be sent again, the same server runs on, and the version does not appear, the
        error says that it may.
        """
        impatient = self.make_client(retry_seconds=1)
        impatient.model("walker")
        self.relay.swallow_after(0)
        sent = threading.Event()

        def mishap() -> None:
            self.assertTrue(sent.wait(60))
            self.relay.cut()

        with self.assertRaises(errors.CreationUncertain) as caught:
            self.while_running(
                lambda: impatient.publish(
                    "walker", iter([SMALL]), size_bytes=len(SMALL), progress=lambda size_bytes: sent.set()
                ),
                mishap,
            )
        self.assertIs(caught.exception.is_absent, True)
        self.assertEqual(self.numbers(), [])

    def test_nobody_can_be_asked(self) -> None:
        """
        If the server stays away after the answer was lost, the caller learns that the outcome is unknown.
        """
        impatient = self.make_client(retry_seconds=1)
        impatient.model("walker")
        self.relay.mute()

        def mishap() -> None:
            self.wait_for_version()
            self.relay.port = 0
            self.relay.cut()

        with self.assertRaises(errors.CreationUncertain) as caught:
            self.while_running(lambda: impatient.store("walker", SMALL), mishap)
        self.assertIs(caught.exception.is_absent, False)
        self.assertIn("could not be determined", str(caught.exception))
        self.assertEqual(self.numbers(), [1])

    def test_server_that_stays_away(self) -> None:
        """
        If the server goes away halfway and stays away, the caller learns that nothing was created.
        """
        impatient = self.make_client(retry_seconds=1)
        self.relay.swallow_after(HALF_BYTES)

        def mishap() -> None:
            self.wait_for_bytes(HALF_BYTES)
            self.relay.port = 0
            self.relay.cut()

        with self.assertRaises(errors.Unavailable) as caught:
            self.while_running(lambda: impatient.publish("walker", LARGE), mishap)
        self.assertIn("no version was created", str(caught.exception))

    def test_pieces_that_come_once(self) -> None:
        """
        Data from an iterator with a given size cannot be sent again: the caller learns that the version does not exist.
        """
        self.relay.swallow_after(HALF_BYTES)

        def mishap() -> None:
            self.wait_for_bytes(HALF_BYTES)
            self.relay.cut()

        with self.assertRaises(errors.Unavailable):
            self.while_running(
                lambda: self.registry.publish("walker", iter([LARGE]), size_bytes=len(LARGE)),
                mishap,
            )
        self.assertEqual(self.numbers(), [])

    def test_server_that_is_not_there_yet(self) -> None:
        """
        A creation waits for a server that is away.
        """
        self.relay.port = 0
        self.relay.cut()

        def mishap() -> None:
            self.relay.port = self.daemon.port

        info = self.while_running(lambda: self.registry.publish("walker", iter([LARGE])), mishap)
        self.assertEqual((info.version_number, self.numbers()), (1, [1]))

    def test_deletion_is_not_repeated(self) -> None:
        """
        A deletion whose answer is lost is not repeated: the model may have been made again meanwhile.
        """
        self.relay.mute()
        deleting = self.pool.submit(self.registry.delete_model, "walker")
        self.wait_until_true(lambda: not self.client.models().model_infos, "the model is gone")
        self.client.save_model("walker")
        self.relay.cut()
        self.assertRaises(errors.Unavailable, deleting.result, 60)
        self.assertEqual(len(self.client.models().model_infos), 1)

    def test_deadline(self) -> None:
        """
        A creation that takes longer than its deadline fails, and says so.
        """
        self.relay.mute()
        with self.assertRaises(errors.DeadlineExceeded) as caught:
            self.registry.publish("walker", SMALL, deadline_seconds=0.2)
        self.assertIn("0.2 s", str(caught.exception))


class CrashTests(LostConnectionCase):
    """
    A server that dies.
    """

    def come_back(self) -> None:
        """
        Kill the daemon, and start it again.
        """
        self.relay.port = 0  # another daemon may have the old one next
        self.crash()
        self.relay.port = self.daemon.port
        self.relay.cut()

    def test_server_dies_with_the_answer(self) -> None:
        """
        If the server dies with a transient version, and its answer was lost, the version is created again.
        """
        self.relay.mute()

        def mishap() -> None:
            self.wait_for_version()
            self.come_back()

        info = self.while_running(lambda: self.registry.publish("walker", SMALL), mishap)
        self.assertEqual(self.numbers(), [info.version_number])
        self.assertGreater(info.version_number, 1)

    def test_server_dies_once_it_has_archived(self) -> None:
        """
        If the server dies after it has archived a version, and its answer was lost, the client finds the version.
        """
        self.relay.mute()

        def mishap() -> None:
            self.wait_for_version()
            self.come_back()

        info = self.while_running(lambda: self.registry.store("walker", SMALL), mishap)
        self.assertEqual((info.version_number, self.numbers()), (1, [1]))

    def test_many_creators_and_crashes(self) -> None:
        """
        However often the server dies among many creations, each archived version is there once.
        """
        with ThreadPoolExecutor(4) as pool:
            creating = [pool.submit(self.registry.store, "walker", b"%d" % number) for number in range(40)]
            for done in (10, 20):
                self.wait_until_true(lambda done=done: sum(map(_is_done, creating)) >= done, "some are done")  # type: ignore[misc]
                self.come_back()
            infos = [future.result(60) for future in creating]
        self.assertEqual(sorted(info.version_number for info in infos), self.numbers())
        for number, info in enumerate(infos):
            self.assertEqual(self.client.data("walker", info.version_number), b"%d" % number)


def _is_done(future: Any) -> bool:
    return bool(future.done())
