"""
Tests of creations that are interrupted, each under asyncio and under Twisted.
"""

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer_only

from tests.support.client import data_hash
from tests.support.ports import Budget, FullBudget
from tests.support.registry import CHUNK_BYTES
from tests.support.runtimes import AsyncioDriver, DeferredRuntime, TwistedDriver, UseCaseTestCase
from twisted_registry.application.creations import CreationRequest, Creations, UploadStatus
from twisted_registry.application.kept_uploads import KeptLimits, KeptUploads
from twisted_registry.application.queries import Queries
from twisted_registry.application.versions import Versions
from twisted_registry.contracts.application import IRuntime
from twisted_registry.contracts.idempotency import IKeyedArchive
from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.contracts.unfinished import UnfinishedUpload
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.creation import CreationDetails
from twisted_registry.domain.errors import (
    HashMismatch,
    InvalidRequest,
    ModelReplaced,
    Overloaded,
    SizeMismatch,
    Stalled,
    StorageFull,
    WrongOffset,
)
from twisted_registry.domain.events import AliasChanged, StorageFailed, VersionCommitted
from twisted_registry.domain.idempotency import key_sha256
from twisted_registry.domain.kept import UnfinishedLimits
from twisted_registry.domain.models import Chunk, ModelInfo, VersionHeader
from twisted_registry.domain.records import VersionRecord
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium

DATA = bytes(range(200))
LIMITS = KeptLimits(300, UnfinishedLimits(count=3, size_bytes=300, seconds=100.0), least_bytes=10)


class Messages:
    """
    The messages of a client, and the error after them.
    """

    def __init__(self, messages: Iterable[bytes], error: Exception | None = None) -> None:
        self._messages = iter(messages)
        self._error = error

    async def read(self) -> bytes | None:
        """See ``IMessages.read``."""
        message = next(self._messages, None)
        if message is None and self._error is not None:
            raise self._error
        return message

    def interrupt(self, error: Exception) -> None:
        """See ``IMessages.interrupt``."""
        self._error = error


class CreationCase(UseCaseTestCase):
    """
    A registry with a model.
    """

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.save()
        self.budget = Budget()
        self.kept = KeptUploads(DeferredRuntime(self.clock), LIMITS, self.clock.seconds)
        self.kept.follow(self.registry)

    def creations(self, runtime: IRuntime) -> Creations:
        """
        Return the use case.
        """
        queries = Queries(self.registry, runtime)
        return Creations(queries, Versions(queries), self.budget, self.kept, CHUNK_BYTES, 0, resumable_bytes=100)

    def request(self, key: str = "key", offset: int = 0, data: bytes = DATA, **fields: Any) -> CreationRequest:
        """
        Return a request to create a version.
        """
        details = CreationDetails(fields.pop("annotations", Annotations()), fields.pop("aliases", ()), reason="why")
        owner = fields.pop("owner", "")
        header = VersionHeader("m", fields.pop("archived", True), len(data), **fields)
        return CreationRequest(header, details, key, offset, owner)

    def create(self, sent: bytes, error: Exception | None = None, **fields: Any) -> VersionRecord:  # type: ignore[override]
        """
        Create a version.
        """
        request = self.request(**fields)
        pieces = [sent[start : start + 7] for start in range(0, len(sent), 7)]
        return self.drive(lambda runtime: self.creations(runtime).create(request, Messages(pieces, error), Chunk))

    def interrupt(self, size_bytes: int, **fields: Any) -> None:
        """
        Send a part of a version's data.
        """
        offset = fields.get("offset", 0)
        self.assertRaises(Stalled, self.create, DATA[offset:size_bytes], Stalled(1.0), **fields)
        self.pump()

    def restart(self) -> None:
        """
        Open the archive in another process.
        """
        self.archive.close()
        self.open()
        self.kept = KeptUploads(DeferredRuntime(self.clock), LIMITS, self.clock.seconds)
        self.done(self.registry.load_snapshot("m"))

    def report_full_disk(self) -> None:
        """
        Publish that the medium was full.
        """
        self.kept._notice(StorageFailed("create version", "m", StorageFull("no space")))
        self.pump()

    def status(self, key: str = "key") -> UploadStatus:
        """
        Ask how far an upload is.
        """
        return self.drive(lambda runtime: self.creations(runtime).status("m", key))

    def received(self, key: str = "key") -> int:
        """
        Ask how much of an upload is kept.
        """
        return self.status(key).received_bytes


class CreationTests(CreationCase):
    """
    Creations with and without an interruption.
    """

    def test_details(self) -> None:
        """
        Labels, metrics and aliases are there with the version, and survive a restart if it is archived.
        """
        annotations = Annotations({"a": "b"}, {"return": 1.5})
        events: list[Any] = []
        self.registry.subscribe(events.append, VersionCommitted, AliasChanged)
        archived = self.create(DATA, annotations=annotations, aliases=("production", "best"))
        transient = self.create(DATA, key="", archived=False, annotations=annotations)
        self.assertEqual((archived.annotations, archived.aliases), (annotations, ("best", "production")))
        self.assertEqual((transient.annotations, transient.info.archived), (annotations, False))
        kinds = [type(event) for event in events]
        self.assertEqual(kinds, [VersionCommitted, AliasChanged, AliasChanged, VersionCommitted])
        self.assertEqual(events[0].annotations, annotations)
        self.assertEqual([event.move.sequence for event in events[1:3]], [1, 2])
        self.open()
        self.done(self.registry.load_snapshot("m"))
        (record,) = self.done(self.registry.load_version_records(self.snapshot(), [1]))
        self.assertEqual(record, archived)
        self.assertEqual(self.done(self.registry.alias_moves(self.snapshot()))[0].reason, "why")

    def test_repeated(self) -> None:
        """
        A creation that is repeated after a restart returns the version as it is, whatever labels it has now.
        """
        stored = Annotations({"a": "b"}, {"return": 1.5})
        sha256 = data_hash(DATA)
        first = self.create(DATA, sha256=sha256, annotations=stored)
        self.archive.close()
        self.open()
        self.done(self.registry.load_snapshot("m"))
        again = self.create(DATA, sha256=sha256, annotations=Annotations({"c": "d"}))
        self.assertEqual((again, again.annotations), (first, stored))
        self.assertEqual(self.create(DATA, annotations=Annotations({"e": "f"})), first)  # found at the commit

    def test_resumed(self) -> None:
        """
        The data that was received is kept, and the rest makes the version, however often that happens.
        """
        for archived in (True, False):
            fields: dict[str, Any] = {"archived": archived, "key": f"key {archived}"}
            self.interrupt(50, **fields)
            self.assertEqual(self.received(fields["key"]), 50)
            self.interrupt(123, offset=50, **fields)
            self.interrupt(123, offset=123, **fields)
            record = self.create(DATA[123:], offset=123, **fields)
            self.assertEqual(record.sha256, data_hash(DATA))
            self.assertEqual(self.read(record.info), DATA)
            self.assertEqual(self.status(fields["key"]).version, record)
        self.assertEqual(self.budget.reserved, [])

    def test_complete_but_for_the_commit(self) -> None:
        """
        An upload that has all its data goes on with none.
        """
        self.interrupt(200)
        self.assertEqual(self.received(), 200)
        self.assertEqual(self.read(self.create(b"", offset=200).info), DATA)

    def test_skipped(self) -> None:
        """
        At a lower offset, the data that is there already is skipped.
        """
        self.interrupt(100)
        self.assertEqual(self.read(self.create(DATA[33:], offset=33).info), DATA)

    def test_other_process(self) -> None:
        """
        After a restart, what the archive has kept is hashed again.
        """
        self.interrupt(150)
        self.restart()
        self.assertEqual(self.received(), 150)
        self.assertRaises(InvalidRequest, self.create, b"", offset=150, metadata={"a": "b"})
        self.assertRaises(WrongOffset, self.create, b"", offset=151)
        self.interrupt(160, offset=150)
        record = self.create(DATA[160:], offset=160)
        self.assertEqual(record.sha256, data_hash(DATA))
        self.assertEqual(self.read(record.info), DATA)

    def test_not_kept(self) -> None:
        """
        Nothing is kept of a small upload, of one without a key, and of one that cannot succeed.
        """
        self.interrupt(50, data=DATA[:99])
        self.interrupt(50, key="")
        self.assertRaises(SizeMismatch, self.create, DATA + b"x")
        self.assertRaises(HashMismatch, self.create, DATA, sha256=data_hash(b"x"))
        self.assertRaises(InvalidRequest, self.create, DATA[:50], InvalidRequest("bad"))
        self.assertEqual(self.received(), 0)
        self.assertEqual((self.numbers(), self.budget.reserved, self.medium.unfinished), ([], [], {}))

    def test_overloaded(self) -> None:
        """
        If there is no memory to go on, what was received stays.
        """
        self.interrupt(100)
        self.budget = FullBudget()
        self.assertRaises(Overloaded, self.create, DATA[100:], offset=100)
        self.budget = Budget()
        self.assertEqual(self.create(DATA[100:], offset=100).size_bytes, 200)

    def test_deleted_model(self) -> None:
        """
        The data that was sent to a model is dropped with it, also if there is another one with its id.
        """
        self.interrupt(100)
        self.done(self.registry.delete_model("m"))
        self.save()
        self.assertEqual(self.received(), 0)
        self.assertRaises(WrongOffset, self.create, DATA[100:], offset=100)

    def test_deleted_meanwhile(self) -> None:
        """
        A model that is deleted during an upload ends it.
        """

        class Deleting(Messages):
            async def read(this) -> bytes | None:  # noqa: N805
                self.registry.delete_model("m")
                self.registry.save_model(ModelInfo("m"))
                self.pump()
                return await super().read()

        request = self.request(data=DATA)
        messages = Deleting([DATA])
        with self.assertRaises(ModelReplaced):
            self.drive(lambda runtime: self.creations(runtime).create(request, messages, Chunk))
        self.assertEqual(self.received(), 0)

    def test_expired(self) -> None:
        """
        A kept upload is dropped after its time, without any call.
        """
        self.interrupt(100)
        self.assertEqual(self.status().expires_seconds, self.clock.seconds() + 100)
        self.clock.advance(99)
        self.assertEqual(self.received(), 100)
        self.clock.advance(1)
        self.assertEqual(self.received(), 0)
        self.assertEqual(self.medium.unfinished, {})
        self.interrupt(100)
        self.clock.advance(100)
        self.assertEqual(self.received(), 0)

    def test_limits(self) -> None:
        """
        Of too many uploads the smallest is dropped, and of too much data of one kind the oldest.
        """
        for number, size_bytes in enumerate((30, 10, 40, 20)):
            self.interrupt(size_bytes, key=str(number))
        self.assertEqual([self.received(str(number)) for number in range(4)], [30, 0, 40, 20])
        self.interrupt(150, key="a")
        self.interrupt(150, key="b")
        self.assertEqual([self.received(key) for key in "0123ab"], [0, 0, 0, 0, 150, 150])
        for key in "cde":
            self.interrupt(140, key=key, archived=False)
        self.assertEqual([self.received(key) for key in "abcde"], [150, 150, 0, 0, 140])

    def test_much_in_memory(self) -> None:
        """
        Of too much data of transient versions the oldest is dropped.
        """
        for key in "abc":
            self.interrupt(140, key=key, archived=False)
        self.assertEqual([self.received(key) for key in "abc"], [0, 140, 140])

    def test_displaced_by_empty_ones(self) -> None:
        """
        However many uploads a client opens without data, or with little, what others have sent stays.
        """
        self.interrupt(150, owner="trainer")
        for number in range(300):
            self.interrupt(number % 10, key=f"empty {number}", owner="hostile")
            self.interrupt(0, key=f"empty {number}", owner=f"hostile {number}")
        self.assertEqual((self.received(), list(self.medium.unfinished)), (150, [("m", key_sha256("key"))]))
        for number in range(50):
            self.interrupt(10 + number, key=f"small {number}", owner=("hostile", "trainer", f"{number}")[number % 3])
        self.assertEqual(self.received(), 150)

    def test_shares(self) -> None:
        """
        A client that sends too much displaces its own uploads.
        """
        self.interrupt(100, owner="trainer")
        self.interrupt(80, key="a", owner="other")
        self.interrupt(190, key="b", owner="other")
        self.assertEqual([self.received(key) for key in ("key", "a", "b")], [100, 0, 190])

    def test_full_disk(self) -> None:
        """
        If the medium is full, the archive itself releases as much of the space of interrupted uploads as it needs.
        """
        self.interrupt(100)
        self.interrupt(100, key="b", archived=False)
        self.report_full_disk()
        self.assertEqual((self.received(), self.received("b")), (100, 100))

    def test_discarded(self) -> None:
        """
        An upload whose data the archive has discarded begins again, whenever its creator learns of it.
        """
        self.interrupt(100)
        self.archive.discard_suspended()
        self.assertEqual(self.received(), 0)
        self.interrupt(100)
        self.medium.unfinished.clear()
        self.assertRaises(WrongOffset, self.create, DATA[100:], offset=100)
        self.assertEqual(self.create(DATA).sha256, data_hash(DATA))

    def test_discarded_after_a_restart(self) -> None:
        """
        Data that the archive discards after it was found begins again, too.
        """
        self.interrupt(100)
        self.restart()
        resume = self.archive.resume_version

        def resume_too_late(upload: UnfinishedUpload) -> IArchiveWriter:
            writer = resume(upload)
            self.medium.unfinished.clear()
            return writer

        self.patch(self.archive, "resume_version", resume_too_late)
        with self.assertRaises(WrongOffset) as caught:
            self.create(DATA[100:], offset=100)
        self.assertEqual(caught.exception.received_bytes, 0)

    def test_not_discarded(self) -> None:
        """
        The archive discards no upload that goes on.
        """
        self.interrupt(100)

        class Discarding(Messages):
            async def read(this) -> bytes | None:  # noqa: N805
                self.archive.discard_suspended()
                return await super().read()

        request = self.request(offset=100)
        messages = Discarding([DATA[100:]])
        record = self.drive(lambda runtime: self.creations(runtime).create(request, messages, Chunk))
        self.assertEqual(record.sha256, data_hash(DATA))


class AsyncioCreationTests(CreationTests, AsyncioDriver):
    """
    Creations under asyncio.
    """


class TwistedCreationTests(CreationTests, TwistedDriver):
    """
    Creations under Twisted.
    """

    def test_taken_over(self) -> None:
        """
        The newer of two calls goes on when the older one has ended.
        """
        waiting: Deferred[bytes | None] = Deferred()

        class Slow(Messages):
            async def read(self) -> bytes | None:
                return await super().read() or await waiting

            def interrupt(self, error: Exception) -> None:
                waiting.errback(error)

        runtime = DeferredRuntime(self.clock)
        older: list[Any] = []
        call = self.creations(runtime).create(self.request(), Slow([DATA[:100]]), Chunk)
        Deferred.fromCoroutine(call).addBoth(older.append)
        self.pump()
        self.assertEqual((older, self.received()), ([], 100))
        self.assertEqual(self.create(DATA[100:], offset=100).sha256, data_hash(DATA))
        self.assertIn("taken over", str(older[0].value))


@implementer_only(IKeyedArchive)
class SimpleArchive(MemoryArchive):
    """
    An archive that cannot discard the data of uploads.
    """


class SimpleArchiveTests(CreationCase, TwistedDriver):
    """
    Creations on an archive that cannot discard the data of uploads.
    """

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """See ``PumpedRegistryCase.make_archive``."""
        return SimpleArchive(medium)

    def test_full_disk(self) -> None:
        """
        If the medium is full, the space of all interrupted uploads on it is released.
        """
        self.interrupt(100)
        self.interrupt(100, key="b", archived=False)
        self.report_full_disk()
        self.assertEqual((self.received(), self.received("b")), (0, 100))


del CreationTests
