"""
A registry whose threads a test pumps by hand.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import data_hash
from tests.support.threads import PumpedPool, PumpedReactor, pump_all
from twisted_registry.contracts.transfers import IDownload, IUpload
from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.coordination.local import LocalCoordination
from twisted_registry.domain.models import Chunk, ModelInfo, VersionHeader, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.execution import executor_for
from twisted_registry.registry import Framing, Heap, Registry
from twisted_registry.registry.searches import MAX_INDEX_BYTES
from twisted_registry.rpc.services.cogment.codec import Chunker, frame
from twisted_registry.storage.memory import MemoryStore
from twisted_registry.storage.wrappers.error_log import StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium

T = TypeVar("T")

CHUNK_BYTES = 10
BUDGET = TransientBudget(max_items=4, max_bytes=8000)


class PumpedRegistryCase(SynchronousTestCase):
    """
    A test of a registry over an archive in memory.  The archive's calls wait until the test pumps ``disk``.

    Attributes:
        max_index_bytes: the memory for the indexes of searches.
        options: further arguments of the registry.
    """

    max_index_bytes = MAX_INDEX_BYTES
    options: ClassVar[Mapping[str, Any]] = {}

    def setUp(self) -> None:
        """
        Open a registry on an empty archive.
        """
        self.clock = Clock()
        self.clock.advance(1000)
        self.reactor = PumpedReactor()
        self.disk, self.processor = PumpedPool(), PumpedPool()
        self.medium = MemoryMedium()
        self.archive = self.make_archive(self.medium)
        self.heap_calls: list[str] = []
        self.open()

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """
        Make the archive.
        """
        return MemoryArchive(medium)

    def make_store(self) -> ITransientStore:
        """
        Make the transient store.
        """
        return MemoryStore(BUDGET)

    def open(self) -> None:
        """
        Open a registry, as after a start or a crash.
        """
        self.medium.in_use = False
        store = self.make_store()
        archive = LoggingArchive(self.archive, StorageErrorLog(self.archive.description, self.clock.seconds))
        archive_executor = executor_for(self.archive, self.reactor, self.disk, self.processor)
        self.registry = Registry(
            self.reactor,
            archive,
            archive_executor,
            store,
            executor_for(store, self.reactor, self.disk, self.processor),
            Framing(CHUNK_BYTES, frame, partial(Chunker, CHUNK_BYTES)),
            LocalCoordination(archive, archive_executor),
            now_ns=lambda: int(self.clock.seconds() * 10**9),
            seconds=self.clock.seconds,
            max_index_bytes=self.max_index_bytes,
            heap=Heap(lambda: self.heap_calls.append("settle"), lambda: self.heap_calls.append("unsettle")),
            **self.options,
        )
        self.registry.open()

    def pump(self) -> None:
        """
        Run everything that waits.
        """
        pump_all(self.reactor, self.disk, self.processor)

    def done(self, deferred: "Deferred[T]") -> T:
        """
        Run everything, and return the result of a Deferred.
        """
        self.pump()
        result: T = self.successResultOf(deferred)
        return result

    def fails(self, deferred: "Deferred[Any]", *errors: type[BaseException]) -> Any:
        """
        Run everything, and return the error of a Deferred.
        """
        self.pump()
        return self.failureResultOf(deferred, *errors).value

    def settle(self, future: "Future[T]") -> T:
        """
        Run everything, and return the result of a serial executor's job.
        """
        self.pump()
        return future.result(timeout=0)

    def save(self, model_id: str = "m", **user_data: str) -> None:
        """
        Make a model.
        """
        self.done(self.registry.save_model(ModelInfo(model_id, user_data)))

    def snapshot(self, model_id: str = "m") -> ModelSnapshot:
        """
        Return a model's snapshot, which must be loaded.
        """
        snapshot = self.registry.snapshot(model_id)
        assert snapshot is not None, "the model is not loaded"
        return snapshot

    def upload(self, data: bytes = b"data", model_id: str = "m", **fields: Any) -> IUpload:
        """
        Upload a version's data, all but its commit.
        """
        header = VersionHeader(model_id, fields.pop("archived", False), len(data), **fields)
        upload = self.registry.upload(header, self.snapshot(model_id))
        for start in range(0, len(data), CHUNK_BYTES):
            self.settle(upload.write(Chunk(data[start : start + CHUNK_BYTES])))
        self.settle(upload.finish())
        return upload

    def create(self, data: bytes = b"data", model_id: str = "m", **fields: Any) -> VersionInfo:
        """
        Create a version.
        """
        return self.done(self.upload(data, model_id, **fields).commit())

    def numbers(self, model_id: str = "m") -> list[int]:
        """
        Return the numbers of a model's versions.
        """
        return list(self.snapshot(model_id).numbers.starting_at(0))

    def read(self, info: VersionInfo) -> bytes:
        """
        Read a version's data.
        """
        download = self.registry.download(self.snapshot(info.model_id), info)
        return b"".join(bytes(chunk.data) for chunk in self.chunks(download))

    def chunks(self, download: IDownload) -> list[Chunk]:
        """
        Read all chunks.
        """
        chunks = []
        while (chunk := self.settle(download.read())) is not None:
            chunks.append(chunk)
        download.close()
        self.pump()
        return chunks


__all__ = ["BUDGET", "CHUNK_BYTES", "PumpedRegistryCase", "data_hash"]
