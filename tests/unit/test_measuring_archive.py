"""
Tests of what an archive reports to an observer.
"""

import gc
from weakref import ref

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer, providedBy

from tests.support.filesystem_case import FilesystemCase
from twisted_registry.contracts.observation import IArchiveObserver, IDiskReporter, ISizeReporter, ISyncReporter
from twisted_registry.daemon.background_reading import BackgroundReading
from twisted_registry.domain.errors import (
    ArchiveMoved,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    TooManyOpenFiles,
    UnknownModel,
)
from twisted_registry.domain.models import ModelInfo
from twisted_registry.storage.wrappers.error_log import StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive
from twisted_registry.storage.wrappers.measuring import measuring_archive
from twisted_registry.testing.samples import put


@implementer(IArchiveObserver)
class Observer:
    """
    An observer that notes everything.
    """

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failures: list[tuple[str, str]] = []
        self.syncs = 0

    def succeeded(self, operation: str, seconds: float) -> None:
        """See ``IArchiveObserver.succeeded``."""
        assert seconds >= 0
        self.done.append(operation)

    def failed(self, operation: str, cause: str) -> None:
        """See ``IArchiveObserver.failed``."""
        self.failures.append((operation, cause))

    def synced(self, seconds: float) -> None:
        """See ``IArchiveObserver.synced``."""
        self.syncs += 1


class MeasuringTests(FilesystemCase):
    """
    A measuring archive around one on a file system.
    """

    def setUp(self) -> None:
        """
        Wrap the archive.
        """
        super().setUp()
        self.observer = Observer()
        self.measuring = measuring_archive(self.archive, self.observer)

    def test_interfaces(self) -> None:
        """
        It provides what the archive provides.
        """
        self.assertEqual(list(providedBy(self.measuring)), list(providedBy(self.archive)))
        self.assertEqual(self.measuring.description, self.archive.description)

    def test_operations(self) -> None:
        """
        Operations that succeed are reported by name, those of writers too, and no single chunk.
        """
        self.measuring.save_model(ModelInfo("m"))
        put(self.measuring, "m", 1)
        reader = self.measuring.open_version("m", 1)
        reader.read(10)
        reader.close()
        self.assertRaises(UnknownModel, self.measuring.delete_model, "n")
        self.measuring.delete_model("m")
        self.assertEqual(self.observer.done, ["save", "finish", "commit", "open", "delete"])

    def test_writers_are_released(self) -> None:
        """
        A writer is gone once nobody uses it, without the garbage collector.
        """
        self.measuring.save_model(ModelInfo("m"))
        writer = self.measuring.create_version("m")
        writer.abort()
        for method in (writer.finish, writer.commit):
            self.assertTrue(callable(method))
        del method
        released = ref(writer)
        gc.disable()
        self.addCleanup(gc.enable)
        del writer
        self.assertIsNone(released())

    def test_syncs(self) -> None:
        """
        The archive reports each sync, and the space on its disk.
        """
        ISyncReporter(self.archive).report_syncs(self.observer.synced)
        self.archive.save_model(ModelInfo("m"))
        self.assertGreater(self.observer.syncs, 0)
        free, size = IDiskReporter(self.archive).disk_bytes()
        self.assertTrue(0 < free <= size)

    def test_sizes(self) -> None:
        """
        The versions and their bytes are counted, without what else is in the archive, and as long as that is wanted.
        """
        archive = ISizeReporter(self.archive)
        self.assertEqual(archive.stored(lambda: True), (0, 0))
        for model_id in ("m", "n"):
            self.archive.save_model(ModelInfo(model_id))
            put(self.archive, model_id, 1)
        put(self.archive, "m", 2, b"0123456789")
        self.assertEqual(archive.stored(lambda: True), (3, 4 + 4 + 10))
        self.assertEqual(archive.stored(lambda: False), (0, 0))

    def test_causes(self) -> None:
        """
        Each failure is reported with its cause, also if it is not logged; special kinds of errors as what they are.
        """
        log = StorageErrorLog("a", observer=self.observer)
        log.failed("save", StorageFull("full"))
        log.failed("save", StorageFull("full"))
        log.failed("create", StorageReadOnly("read-only"))
        log.failed("check", ArchiveMoved("moved"))
        log.failed("read", StorageUnavailable("away"))
        log.failed("read", TooManyOpenFiles("too many"))
        log.failed("delete", StorageFailure("broken"))
        self.assertEqual(
            self.observer.failures,
            [
                ("save", "full"),
                ("save", "full"),
                ("create", "read_only"),
                ("check", "moved"),
                ("read", "unavailable"),
                ("read", "unavailable"),
                ("delete", "failure"),
            ],
        )

    def test_logging_around_measuring(self) -> None:
        """
        The daemon's archive, which logs around one that measures, still has all optional parts.
        """
        logging = LoggingArchive(self.measuring, StorageErrorLog("a", observer=self.observer))
        plain = LoggingArchive(self.archive, StorageErrorLog("a"))
        self.assertEqual(set(providedBy(logging)), set(providedBy(plain)))
        logging.save_model(ModelInfo("m"))
        put(logging, "m", 1)
        self.assertEqual(logging.load_version("m", 1).version_number, 1)
        self.assertIn("load", self.observer.done)


class BackgroundReadingTests(SynchronousTestCase):
    """
    Values that are read in the background.
    """

    def setUp(self) -> None:
        """
        Make one that takes as long as the test lets it.
        """
        self.clock, self.answers = Clock(), list[Deferred[int]]()
        self.reading = BackgroundReading(self.clock, "it", self.ask, 10.0)

    def ask(self) -> "Deferred[int]":
        """
        Begin to read.
        """
        self.answers.append(Deferred())
        return self.answers[-1]

    def test_values(self) -> None:
        """
        A value is read at once and at intervals, and is unknown while it cannot be read.
        """
        self.reading.start()
        self.assertIsNone(self.reading.value)
        self.answers[0].callback(5)
        self.assertEqual(self.reading.value, 5)
        self.clock.advance(10)
        self.assertEqual(self.reading.value, 5)
        self.answers[1].errback(StorageFailure("gone"))
        self.assertIsNone(self.reading.value)
        self.clock.advance(10)
        self.answers[2].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_slow(self) -> None:
        """
        A value that takes long is read less often, and never twice at once.
        """
        self.reading.start()
        self.clock.advance(60)
        self.assertEqual(len(self.answers), 1)
        self.answers[0].callback(5)
        self.clock.advance(5999)
        self.assertEqual(len(self.answers), 1)
        self.clock.advance(1)
        self.assertEqual(len(self.answers), 2)

    def test_stop(self) -> None:
        """
        After a stop nothing is read, whether the last value has come or not.
        """
        self.reading.start()
        self.assertTrue(self.reading.is_wanted)
        self.reading.stop()
        self.assertFalse(self.reading.is_wanted)
        self.answers[0].callback(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.reading.stop()
