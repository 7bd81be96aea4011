"""
Tests of the use cases, each under asyncio and under Twisted.
"""

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.support.ports import Budget, Receiver
from tests.support.registry import CHUNK_BYTES
from tests.support.runtimes import AsyncioDriver, DeferredRuntime, TwistedDriver, UseCaseTestCase
from twisted_registry.application.commands import Commands
from twisted_registry.application.downloads import Downloads, SentVersion
from twisted_registry.application.pagination import Lists, ModelsQuery, VersionsQuery
from twisted_registry.application.queries import Queries
from twisted_registry.application.status import ServerStatus
from twisted_registry.application.subscriptions import Subscriptions
from twisted_registry.application.uploads import Uploads
from twisted_registry.contracts.application import IEvent, IRuntime
from twisted_registry.contracts.ownership import ArchiveIdentity, ArchiveStatus
from twisted_registry.domain.errors import (
    InvalidRequest,
    ModelReplaced,
    SizeMismatch,
    TooLarge,
    Unavailable,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.models import Chunk, ModelInfo, VersionHeader, VersionInfo
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.messages import api

MODELS = ("a", "b", "c", "d", "e")


def messages_of(messages: Iterable[bytes]) -> Any:
    """
    Return what reads messages, one after another.
    """
    remaining = iter(messages)

    async def read() -> bytes | None:
        return next(remaining, None)

    return read


class UseCaseTests(UseCaseTestCase):
    """
    The use cases.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.budget = Budget()
        self.save()

    def publish(self, *messages: bytes, version_max_bytes: int = 0, **fields: Any) -> VersionInfo:
        """
        Create a version from messages.
        """
        header = VersionHeader("m", fields.pop("archived", False), fields.pop("size_bytes", len(b"".join(messages))))

        def create(runtime: IRuntime) -> Any:
            uploads = Uploads(Queries(self.registry, runtime), self.budget, CHUNK_BYTES, version_max_bytes)
            return uploads.create(header, messages_of(messages), Chunk, **fields)

        info: VersionInfo = self.drive(create)
        return info

    def receive(self, receiver: Receiver, selector: int = -1) -> SentVersion:
        """
        Send a version to a client.
        """
        return self.drive(
            lambda runtime: Downloads(Queries(self.registry, runtime), CHUNK_BYTES).send(
                Reference("m", selector), receiver
            )
        )

    def test_uploads_and_downloads(self) -> None:
        """
        Uploaded data can be downloaded, from memory and from the archive, with its size, SHA-256 and XXH3.
        """
        for archived in (False, True):
            for messages in ((), (b"1",), (b"1234567890",), (b"12345", b"67890" * 1000, b"1")):
                info = self.publish(*messages, archived=archived)
                receiver = Receiver()
                sent = self.receive(receiver, info.version_number)
                received = [api.RetrieveVersionDataReplyChunk.FromString(each).data_chunk for each in receiver.messages]
                self.assertEqual(b"".join(received), b"".join(messages))
                self.assertEqual((sent.info, sent.xxh3), (info, info.xxh3))
                self.assertEqual(receiver.timers[-1], "start")
                self.assertEqual(self.budget.reserved, [])

    def test_budgets(self) -> None:
        """
        An upload reserves what memory keeps of it and five chunks on their way; a download reserves four chunks.
        """
        receiver = Receiver(is_full=True)
        self.publish(b"x" * 200)
        self.receive(receiver)
        self.assertEqual((self.budget.requests, receiver.reserved), ([200 + 5 * CHUNK_BYTES], [4 * CHUNK_BYTES]))

    def test_refused_uploads(self) -> None:
        """
        An upload that is refused leaves no version and no reservation.
        """
        self.assertRaises(SizeMismatch, self.publish, b"12345", b"6", size_bytes=5)
        self.assertRaises(SizeMismatch, self.publish, b"12345", size_bytes=6)
        self.assertRaises(TooLarge, self.publish, b"12345", version_max_bytes=4)
        self.assertEqual((self.numbers(), self.budget.reserved), ([], []))
        self.assertEqual(self.registry.usage().items, 0)

    def test_model_deleted_during_upload(self) -> None:
        """
        The creator learns that the model was deleted meanwhile, even if it has been created again.
        """

        async def read_and_delete() -> bytes | None:
            self.registry.delete_model("m")
            self.registry.save_model(ModelInfo("m"))
            self.pump()
            return None

        def create(runtime: IRuntime) -> Any:
            uploads = Uploads(Queries(self.registry, runtime), self.budget, CHUNK_BYTES, 0)
            return uploads.create(VersionHeader("m", True, 0), read_and_delete, Chunk)

        self.assertRaises(ModelReplaced, self.drive, create)
        self.assertEqual(self.budget.reserved, [])

    def test_unknown_downloads(self) -> None:
        """
        A version that does not exist cannot be downloaded.
        """
        self.publish(b"1")
        for selector in (0, 2, -2):
            self.assertRaises(UnknownVersion, self.receive, Receiver(), selector)
        self.done(self.registry.delete_model("m"))
        self.assertRaises(UnknownModel, self.receive, Receiver())

    def test_seen_numbers(self) -> None:
        """
        If the archive went back to an earlier state, the next version gets a number above those that clients have seen.
        """
        self.publish(b"1", archived=True)
        self.done(self.registry.close())
        self.open()
        self.assertEqual(self.publish(b"2", archived=True, seen=7).version_number, 8)

    def test_changed_models(self) -> None:
        """
        A model is saved and deleted.
        """
        info = ModelInfo("n", {"a": "b"})
        self.drive(lambda runtime: Commands(self.registry, runtime).save_model(info))
        self.assertEqual(self.registry.model_info("n"), info)
        self.drive(lambda runtime: Commands(self.registry, runtime).delete_model("n"))
        self.assertRaises(UnknownModel, self.registry.model_info, "n")

    def versions(self, *numbers: int, count: int = 0, handle: str = "") -> tuple[list[int], str]:
        """
        List versions; return their numbers and the next handle.
        """
        found: list[VersionInfo] = []

        async def read(runtime: IRuntime) -> str:
            versions = await Lists(Queries(self.registry, runtime)).versions(VersionsQuery("m", numbers, count, handle))
            end = await versions.write(found.append)
            return end.next_handle

        following = self.drive(read)
        return [info.version_number for info in found], following

    def test_lists_of_versions(self) -> None:
        """
        All versions continue from a number, named ones from an opaque handle.
        """
        for number in range(5):
            self.publish(bytes([number]), archived=number % 2 == 0)
        self.assertEqual(self.versions(), ([1, 2, 3, 4, 5], "6"))
        self.assertEqual(self.versions(count=2), ([1, 2], "3"))
        self.assertEqual(self.versions(count=4, handle="3"), ([3, 4, 5], "6"))
        self.assertEqual(self.versions(handle="9"), ([], "9"))
        self.assertEqual(self.versions(-1, 1), ([5, 1], "2"))
        self.assertEqual(self.versions(-1, 1, 3, count=2), ([5, 1], "listed:2"))
        self.assertEqual(self.versions(-1, 1, 3, count=2, handle="listed:2"), ([3], "listed:3"))
        self.assertRaises(InvalidRequest, self.versions, 1, handle="7")
        self.assertRaises(UnknownVersion, self.versions, 1, 9, count=1)

    def models(self, *model_ids: str, count: int = 0, handle: str = "") -> tuple[str, str]:
        """
        List models; return their ids and the next handle.
        """
        found: list[ModelInfo] = []

        async def read(runtime: IRuntime) -> str:
            models = await Lists(Queries(self.registry, runtime)).models(ModelsQuery(model_ids, count, handle))
            end = await models.write(found.append)
            return end.next_handle

        following = self.drive(read)
        return "".join(info.model_id for info in found), following

    def test_lists_of_models(self) -> None:
        """
        Models continue from an offset.
        """
        for model_id in MODELS:
            self.save(model_id)
        self.assertEqual(self.models(), ("abcdem", "6"))
        self.assertEqual(self.models(count=2, handle="1"), ("bc", "3"))
        self.assertEqual(self.models(handle="7"), ("", "7"))
        self.assertEqual(self.models("e", "a"), ("ea", "2"))
        self.assertRaises(UnknownModel, self.models, "e", "a", "x", count=1)

    def test_status(self) -> None:
        """
        The status holds the values asked for that exist.
        """
        archive = ArchiveStatus(ArchiveIdentity("id"))

        async def connections() -> int:
            return 3

        def read(*names: str) -> dict[str, str]:
            status = ServerStatus(self.registry, archive, 0.0, lambda: 1, lambda: 2, connections)
            return self.drive(lambda _: status.read(names))

        self.assertEqual(read("calls", "x", "connections"), {"calls": "2", "connections": "3"})
        self.assertEqual(read(), {})
        self.assertEqual(read("archive", "archive_id"), {"archive": "usable", "archive_id": "id"})
        self.assertLess({"overall_load", "uptime_seconds", "subscribers", "connections"}, set(read("*")))
        self.assertRaises(InvalidRequest, read, *["x"] * 1001)


class SubscriptionTests(UseCaseTestCase):
    """
    A subscription to a model.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.save()

    def test_newest_version(self) -> None:
        """
        A subscriber gets the newest version, and not those that came while it was busy.
        """
        self.create(b"1")

        async def follow(runtime: IRuntime) -> list[int]:
            subscriptions = Subscriptions(Queries(self.registry, runtime))
            subscriptions.follow(self.registry)
            with subscriptions.subscribe("m") as subscription:
                self.assertEqual(len(subscriptions), 1)
                numbers = [(await subscription.next()).version_number]
                for data in (b"2", b"3"):
                    self.create(data)
                numbers.append((await subscription.next()).version_number)
                self.create(b"4")
                numbers.append((await subscription.next()).version_number)
            self.assertEqual(len(subscriptions), 0)
            return numbers

        self.assertEqual(self.drive(follow), [1, 3, 4])

    def test_deliveries(self) -> None:
        """
        The time from a commit until a subscriber was sent the version is reported; a version that was there before the
        subscriber is not a delivery.
        """
        self.create(b"1")
        now, seen = [100.0], list[float]()

        async def follow(runtime: IRuntime) -> None:
            subscriptions = Subscriptions(Queries(self.registry, runtime), seen.append, lambda: now[0])
            subscriptions.follow(self.registry)
            with subscriptions.subscribe("m") as early:
                await early.next()
                early.note_sent()
                now[0] = 101.0
                self.create(b"2")
                now[0] = 101.5
                self.assertEqual((await early.next()).version_number, 2)
                early.note_sent()
                with subscriptions.subscribe("m") as late:
                    self.assertEqual(subscriptions.count("m"), 2)
                    await late.next()
                    late.note_sent()
            self.assertEqual(subscriptions.count("m"), 0)

        self.drive(follow)
        self.assertEqual(seen, [0.5])

    def test_ends(self) -> None:
        """
        A subscription ends if its model is deleted, even if it is created again, and if the registry stops.
        """
        self.create(b"1")

        async def follow(runtime: IRuntime, closed: bool = False) -> None:
            subscriptions = Subscriptions(Queries(self.registry, runtime))
            subscriptions.follow(self.registry)
            with subscriptions.subscribe("m") as subscription:
                await subscription.next()
                if closed:
                    subscriptions.close()
                else:
                    self.done(self.registry.delete_model("m"))
                    self.save()
                await subscription.next()

        self.assertRaises(Unavailable, self.drive, lambda runtime: follow(runtime, closed=True))
        self.assertRaises(UnknownModel, self.drive, follow)


class UseCasesUnderAsyncioTests(AsyncioDriver, UseCaseTests):
    """
    The use cases in an event loop of asyncio, as the gRPC edge runs them.
    """


class UseCasesUnderTwistedTests(TwistedDriver, UseCaseTests):
    """
    The use cases in the reactor's thread, as an HTTP edge can run them.
    """


class SubscriptionsUnderAsyncioTests(AsyncioDriver, SubscriptionTests):
    """
    Subscriptions in an event loop of asyncio.
    """


class SubscriptionsUnderTwistedTests(TwistedDriver, SubscriptionTests):
    """
    Subscriptions in the reactor's thread.
    """


del UseCaseTests, SubscriptionTests  # they need a driver


class RuntimeTests(SynchronousTestCase):
    """
    The runtime of Deferreds.
    """

    def test_provides_the_interfaces(self) -> None:
        """
        It provides the port, so that what runs on it needs nothing else.
        """
        runtime = DeferredRuntime()
        verifyObject(IRuntime, runtime)
        verifyObject(IEvent, runtime.event())
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.pause(runtime))))

    async def pause(self, runtime: IRuntime) -> None:
        """
        Await the runtime.
        """
        await runtime.pause()
