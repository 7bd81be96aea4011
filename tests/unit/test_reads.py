"""
Tests of reads of whole versions and of parts of them.
"""

from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.internet.defer import Deferred
from zope.interface import implementer

from tests.support.ports import Receiver
from tests.support.registry import BUDGET, CHUNK_BYTES, PumpedRegistryCase
from tests.support.runtimes import AsyncioDriver, DeferredRuntime, TwistedDriver, UseCaseTestCase
from twisted_registry.application.downloads import Downloads, SentVersion
from twisted_registry.application.queries import Queries
from twisted_registry.application.reads import ReadRequest, Reads
from twisted_registry.application.versions import Versions
from twisted_registry.contracts.application import IRuntime
from twisted_registry.contracts.streams import IArchiveReader
from twisted_registry.contracts.transient import ITransientStore
from twisted_registry.domain.aliases import AliasChange
from twisted_registry.domain.errors import CorruptVersion, OutOfRange, UnknownAlias, UnknownModel, UnknownVersion
from twisted_registry.domain.models import Chunk, VersionInfo
from twisted_registry.domain.ranges import ByteRange
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.messages import v1
from twisted_registry.storage.memory import MemoryStore
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium

DATA = bytes(range(45))


def header(record: VersionRecord, part: ByteRange) -> bytes:
    """
    Return a short header.
    """
    return b"%d: %d+%d" % (record.number, part.offset, part.length)


def data_in(message: bytes) -> bytes:
    """
    Return the data in a message.
    """
    chunk: bytes = v1.ReadVersionResponse.FromString(message).chunk
    return chunk


class ReadTests(UseCaseTestCase):
    """
    The use case of reading.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.save()

    def receive(self, reference: str, offset: int = 0, length: int = 0) -> tuple[str, bytes, SentVersion | None]:
        """
        Read a version.

        Returns:
            the header, the data, and what the use case returns.
        """
        receiver = Receiver()

        def send(runtime: IRuntime) -> Any:
            queries = Queries(self.registry, runtime)
            reads = Reads(queries, Versions(queries), Downloads(queries, CHUNK_BYTES), CHUNK_BYTES)
            return reads.send(ReadRequest(Reference.parse(reference), offset, length), receiver, header)

        sent = self.drive(send)
        return receiver.messages[0].decode(), b"".join(map(data_in, receiver.messages[1:])), sent

    def test_parts(self) -> None:
        """
        Every part of a version can be read, from memory and from the archive, before and after it was verified.
        """
        self.create(DATA, archived=True)
        self.open()
        self.create_more()
        for number in (1, 2, 1):
            for offset in range(len(DATA) + 1):
                for length in (1, 9, 10, 11, 100, 0):
                    part = DATA[offset:][: length or None]
                    found, data, _ = self.receive(f"m@{number}", offset, length)
                    self.assertEqual((found, data), (f"{number}: {offset}+{len(part)}", part))

    def create_more(self) -> None:
        """
        Load the model after a restart, and create a transient version.
        """
        self.done(self.registry.load_snapshot("m"))
        self.create(DATA)

    def test_whole(self) -> None:
        """
        A whole version comes with its checksum; a part of it does not.
        """
        info = self.create(DATA)
        self.assertEqual(self.receive("m"), ("1: 0+45", DATA, SentVersion(info, info.xxh3)))
        self.assertEqual(self.receive("m", 0, 45)[2], SentVersion(info, info.xxh3))
        self.assertIsNone(self.receive("m", 0, 44)[2])

    def test_empty(self) -> None:
        """
        A version without data is read, and so is the part after the last byte.
        """
        self.create(b"", archived=True)
        self.assertEqual(self.receive("m@1")[:2], ("1: 0+0", b""))
        self.create(b"1")
        self.assertEqual(self.receive("m@2", 1)[:2], ("2: 1+0", b""))
        self.assertRaises(OutOfRange, self.receive, "m@2", 2)
        self.assertRaises(OutOfRange, self.receive, "m@1", 1)

    def test_references(self) -> None:
        """
        A version is found by an alias, and by the latest one of a model.
        """
        self.create(b"one", archived=True)
        self.create(b"two")
        self.done(self.registry.move_alias(self.snapshot(), AliasChange("production", 1)))
        self.assertEqual(self.receive("m@production", 1)[:2], ("1: 1+2", b"ne"))
        self.assertEqual(self.receive("m")[:2], ("2: 0+3", b"two"))
        self.assertRaises(UnknownAlias, self.receive, "m@staging")
        self.assertRaises(UnknownVersion, self.receive, "m@3")
        self.assertRaises(UnknownModel, self.receive, "n")

    def test_evicted_meanwhile(self) -> None:
        """
        If the version is evicted before it is opened, the one that the reference names then is read.
        """
        self.create(b"old")
        before = self.snapshot()
        for _ in range(BUDGET.max_items):
            self.create(b"new")
        published = self.registry.snapshot
        snapshots = iter([before])
        self.patch(self.registry, "snapshot", lambda model_id: next(snapshots, None) or published(model_id))
        self.assertEqual(self.receive("m@-1", 1)[1], b"ew")


class AsyncioReadTests(ReadTests, AsyncioDriver):
    """
    Reading under asyncio.
    """


class TwistedReadTests(ReadTests, TwistedDriver):
    """
    Reading under Twisted.
    """


del ReadTests


class DuringDeletionTests(PumpedRegistryCase):
    """
    Versions that are read, that memory still has, and the archive no longer.
    """

    def reads(self, reference: Reference) -> "list[Deferred[Any]]":
        """
        Read a version by each API.
        """
        queries = Queries(self.registry, DeferredRuntime())
        downloads = Downloads(queries, CHUNK_BYTES)
        reads = Reads(queries, Versions(queries), downloads, CHUNK_BYTES)
        uses = downloads.send(reference, Receiver()), reads.send(ReadRequest(reference), Receiver(), header)
        return [Deferred.fromCoroutine(use) for use in uses]

    def setUp(self) -> None:
        """
        Create two archived versions, which are not in memory.
        """
        super().setUp()
        self.save()
        for data in (b"one", b"two"):
            self.create(data, archived=True)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.done(self.registry.load_version_records(self.snapshot(), [1, 2]))

    def test_model(self) -> None:
        """
        A model is not said to be gone as long as others can see it.
        """
        deletion, reads = self.registry.delete_model("m"), self.reads(Reference("m", 1))
        self.disk.pump()
        self.assertEqual(self.numbers(), [1, 2])
        self.assertEqual([read.called for read in reads], [False, False])
        self.done(deletion)
        self.assertRaises(UnknownModel, self.registry.snapshot, "m")
        for read in reads:
            self.fails(read, UnknownModel)

    def test_version(self) -> None:
        """
        A version is not said to be gone as long as others can see it.
        """
        deletion = self.registry.delete_version(self.snapshot(), 1)
        reads = self.reads(Reference("m", 1))
        self.disk.pump()
        self.assertEqual(self.numbers(), [1, 2])
        self.assertEqual([read.called for read in reads], [False, False])
        self.done(deletion)
        for read in reads:
            self.fails(read, UnknownVersion)


@implementer(IArchiveReader)
class SequentialReader:
    """
    A reader that can only read on.
    """

    def __init__(self, reader: IArchiveReader) -> None:
        self.read, self.close = reader.read, reader.close


class SequentialArchive(MemoryArchive):
    """
    An archive whose readers cannot seek.
    """

    def open_version(self, model_id: str, version_number: int) -> Any:
        """See ``IVersionStore.open_version``."""
        return SequentialReader(super().open_version(model_id, version_number))


class BlockingStore:
    """
    A transient store that does not promise never to block.
    """

    def __init__(self) -> None:
        self._store = MemoryStore(BUDGET)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class RangeDownloadTests(PumpedRegistryCase):
    """
    Downloads of parts.
    """

    archived = True

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.save()

    def part(self, info: VersionInfo, offset: int, length: int) -> list[Chunk]:
        """
        Read a part of a version, chunk by chunk.
        """
        part = ByteRange.of(info.size_bytes, offset, length)
        return self.chunks(self.registry.download_range(self.snapshot(), info, part))

    def test_whole_chunks(self) -> None:
        """
        Chunks in memory that lie in the range are sent as they are, and only the first and the last are made again.
        """
        info = self.create(DATA)
        stored = self.chunks(self.registry.download(self.snapshot(), info))
        chunks = self.part(info, 5, 30)
        self.assertEqual([bytes(chunk.data) for chunk in chunks], [DATA[5:10], DATA[10:20], DATA[20:30], DATA[30:35]])
        self.assertIs(chunks[1].buffer, stored[1].buffer)
        self.assertIs(chunks[2].buffer, stored[2].buffer)

    def test_damage(self) -> None:
        """
        A part whose chunk has changed since the SHA-256 matched is refused; other parts can be read.
        """
        info = self.create(DATA, archived=True)
        self.open()
        self.done(self.registry.load_snapshot("m"))
        self.assertEqual(self.read(info), DATA)
        self.drop_copy(info)
        damaged = DATA[:25] + b"!" + DATA[26:]
        self.medium.models["m"].versions[1] = (info, damaged)
        self.assertEqual(b"".join(bytes(chunk.data) for chunk in self.part(info, 0, 20)), DATA[:20])
        download = self.registry.download_range(self.snapshot(), info, ByteRange.of(45, 22, 1))
        self.addCleanup(download.close)
        self.assertRaises(CorruptVersion, self.settle, download.read())

    def drop_copy(self, info: VersionInfo) -> None:
        """
        Let newer versions evict the copy of an archived one.
        """
        for _ in range(BUDGET.max_items):
            self.create(b"newer")
        self.assertNotIn(info.version_number, self.snapshot().held)

    def test_truncated(self) -> None:
        """
        A version that is shorter or longer than its info says is refused where that shows.
        """
        info = self.create(DATA, archived=True)
        self.drop_copy(info)
        for data in (DATA[:-1], DATA + b"!"):
            self.medium.models["m"].versions[1] = (info, data)
            download = self.registry.download_range(self.snapshot(), info, ByteRange.of(45, 42, 1))
            self.addCleanup(download.close)
            self.assertRaises(CorruptVersion, self.settle, download.read())

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 60), st.booleans(), st.booleans())
    def test_any_part(self, size: int, offset: int, length: int, archived: bool, sequential: bool) -> None:
        """
        Any part is what a slice of the data is, from stores and archives of any kind.
        """
        data, offset = bytes(range(size)), min(offset, size)
        self.medium = MemoryMedium()
        self.archive = SequentialArchive(self.medium) if sequential else MemoryArchive(self.medium)
        self.is_blocking = sequential
        self.open()
        self.save()
        info = self.create(data, archived=archived)
        if archived:
            self.drop_copy(info)
        expected = data[offset:][: length or None]
        self.assertEqual(b"".join(bytes(chunk.data) for chunk in self.part(info, offset, length)), expected)

    is_blocking = False

    def make_store(self) -> ITransientStore:
        """
        Make the transient store.
        """
        store: Any = BlockingStore() if self.is_blocking else super().make_store()
        return store  # type: ignore[no-any-return]
