"""
Tests of the log of an archive's storage errors.
"""

import errno
import os
from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from zope.interface.verify import verifyObject

from tests.support.faulty_system import failing_where
from tests.support.filesystem_case import FilesystemCase
from tests.support.registry import PumpedRegistryCase
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter
from twisted_registry.domain.errors import (
    CommitUncertain,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    TooManyOpenFiles,
    UnknownModel,
)
from twisted_registry.domain.models import Chunk, ModelInfo
from twisted_registry.repeated_lines import REPEAT_SECONDS
from twisted_registry.storage.wrappers.error_log import MAX_CAUSES, StorageErrorLog
from twisted_registry.storage.wrappers.logging import LoggingArchive
from twisted_registry.testing.memory_archive import MemoryArchive, MemoryMedium
from twisted_registry.testing.samples import data_of, finished, put, version_info

FULL = r"write m/\.new-.*"
DENIED = r"(open|lstat|stat|mkdir|create) .*"


def _raise(error: Exception) -> None:
    raise error


class StorageErrorCase(FilesystemCase):
    """
    A logging archive on a system that can fail, and a clock.
    """

    def setUp(self) -> None:
        """
        Save a model with a version, and capture the log.
        """
        super().setUp()
        self.clock = Clock()
        self.logging = LoggingArchive(self.archive, StorageErrorLog(self.archive.description, self.clock.seconds))
        self.logging.save_model(ModelInfo("m"))
        put(self.logging, "m", 1)
        self.events = self.enterContext(capturedLogs())
        self.read = 0

    def disturb(self, pattern: str, number: int) -> None:
        """
        Make the calls that match fail from now on.
        """
        self.system.disturbance = failing_where(pattern, number)

    def save(self) -> None:
        """
        Change the model.
        """
        self.logging.save_model(ModelInfo("m", {"a": "b"}))

    def save_and_fail(self, times: int = 1) -> None:
        """
        Try to change the model, which fails.
        """
        for _ in range(times):
            self.assertRaises((StorageFull, StorageReadOnly, StorageFailure), self.save)

    def logged(self) -> list[tuple[LogLevel, str]]:
        """
        Return the messages logged since the last call.
        """
        events = self.events[self.read :]
        self.read += len(events)
        return [(event["log_level"], formatEvent(event)) for event in events]

    def warning(self, said: str, more: str = "") -> tuple[LogLevel, str]:
        """
        Return a warning as the log contains it.
        """
        return LogLevel.warn, f"storage error in the archive {self.root}: {said}{more}"


NO_ROOM = (
    "the registry's storage is full (No space left on device); nothing was stored: free some space, then try again"
)
NO_RIGHT = "the registry's archive cannot be written (Permission denied); reading still works"


class RepetitionTests(StorageErrorCase):
    """
    One message at once, and then one a minute.
    """

    def test_first(self) -> None:
        """
        The first failure is logged at once, with the archive's path and the reason.
        """
        self.disturb(FULL, errno.ENOSPC)
        self.save_and_fail()
        self.assertEqual(self.logged(), [self.warning(NO_ROOM)])

    def test_more(self) -> None:
        """
        The following failures are counted, and logged after a minute at the earliest.
        """
        self.disturb(FULL, errno.ENOSPC)
        self.save_and_fail()
        self.logged()
        self.clock.advance(REPEAT_SECONDS - 1)
        self.save_and_fail(40)
        self.assertEqual(self.logged(), [])
        self.clock.advance(1)
        self.save_and_fail(2)
        self.assertEqual(self.logged(), [self.warning(NO_ROOM, " (40 more since the last line)")])
        self.clock.advance(REPEAT_SECONDS)
        self.save_and_fail()
        self.assertEqual(self.logged(), [self.warning(NO_ROOM, " (1 more since the last line)")])

    def test_flood(self) -> None:
        """
        10,000 failures within a minute are one line.
        """
        errors = StorageErrorLog("filesystem:x", self.clock.seconds)
        for _ in range(10_000):
            errors.failed("save", StorageFull("No space left on device"))
        self.assertEqual(len(self.logged()), 1)

    def test_causes(self) -> None:
        """
        Another cause is logged at once; the same cause is logged once, whichever operation failed.
        """
        self.disturb(FULL, errno.ENOSPC)
        self.save_and_fail()
        self.disturb(DENIED, errno.EACCES)
        self.save_and_fail()
        self.assertRaises(StorageReadOnly, self.logging.delete_model, "m")
        self.assertRaises(StorageReadOnly, self.logging.set_high_water_mark, "m", 9)
        self.assertRaises(StorageReadOnly, put, self.logging, "m", 2)
        self.assertEqual(self.logged(), [self.warning(NO_ROOM), self.warning(NO_RIGHT)])

    def test_uncertain(self) -> None:
        """
        An uncertain commit has the same cause as other calls with its reason.
        """
        errors = StorageErrorLog("there", self.clock.seconds)
        errors.failed("create", CommitUncertain("odd"))
        errors.failed("save", StorageFailure("odd"))
        self.assertEqual(len(self.logged()), 1)

    def test_own_words(self) -> None:
        """
        An archive with a different text for each failure does not fill the memory.
        """
        errors = StorageErrorLog("there", self.clock.seconds)
        for number in range(2 * MAX_CAUSES):
            errors.failed("save", StorageFailure(str(number)))
        self.assertEqual(len(errors._causes), MAX_CAUSES)
        self.logged()
        errors.failed("save", StorageFailure(str(2 * MAX_CAUSES - 1)))
        self.assertEqual(self.logged(), [])

    def test_nobodys_fault(self) -> None:
        """
        An unknown model is not a storage error.
        """
        self.assertRaises(UnknownModel, self.logging.delete_model, "x")
        self.assertEqual(self.logged(), [])


class OverTests(StorageErrorCase):
    """
    One message when an operation works again.
    """

    def fail_and_recover(self) -> None:
        """
        Fail twice, and succeed from then on.
        """
        self.disturb(FULL, errno.ENOSPC)
        self.save_and_fail(2)
        self.system.disturbance = None
        self.logged()

    def test_over(self) -> None:
        """
        An operation that succeeds after a minute without a failure is logged once, and the next failure at once.
        """
        self.fail_and_recover()
        self.clock.advance(REPEAT_SECONDS)
        self.save()
        self.save()
        said = f"the archive {self.root} can be written again; the cause was: No space left on device"
        self.assertEqual(self.logged(), [(LogLevel.info, f"{said} (1 more since the last line)")])
        self.disturb(FULL, errno.ENOSPC)
        self.save_and_fail()
        self.assertEqual(self.logged(), [self.warning(NO_ROOM)])

    def test_now_and_then(self) -> None:
        """
        If some calls fail and others succeed, that is one cause.
        """
        self.fail_and_recover()
        for _ in range(3):
            self.clock.advance(REPEAT_SECONDS / 4)
            self.save()
            self.disturb(FULL, errno.ENOSPC)
            self.save_and_fail()
            self.system.disturbance = None
        self.save()
        self.assertEqual(self.logged(), [])

    def test_something_else(self) -> None:
        """
        The success of an operation that never failed ends no cause.
        """
        self.fail_and_recover()
        self.clock.advance(REPEAT_SECONDS)
        self.logging.set_high_water_mark("m", 9)
        put(self.logging, "m", 2)
        self.logging.delete_model("m")
        self.assertEqual(self.logged(), [])

    def test_version(self) -> None:
        """
        The creation of a version ends a cause for which creations failed.
        """
        self.disturb(FULL, errno.ENOSPC)
        self.assertRaises(StorageFull, put, self.logging, "m", 2)
        self.system.disturbance = None
        self.clock.advance(REPEAT_SECONDS)
        put(self.logging, "m", 2)
        self.assertEqual([level for level, _ in self.logged()], [LogLevel.warn, LogLevel.info])


class WriterTests(StorageErrorCase):
    """
    All calls of one version count as one operation.
    """

    def test_first_failure(self) -> None:
        """
        Only the first failure is logged; the refusals after it are not.
        """
        writer = self.logging.create_version("m")
        self.disturb(FULL, errno.ENOSPC)
        for call in (lambda: writer.write(Chunk(b"data")), lambda: writer.write(Chunk(b"data")), writer.finish):
            self.assertRaises((StorageFull, StorageFailure), call)
        self.assertEqual(self.logged(), [self.warning(NO_ROOM)])

    def test_aborted(self) -> None:
        """
        Calls after an abort are not logged.
        """
        writer = self.logging.create_version("m")
        writer.abort()
        self.assertRaises(StorageFailure, writer.write, Chunk(b"data"))
        self.assertEqual(self.logged(), [])

    def test_commit(self) -> None:
        """
        A failed commit is logged.
        """
        writer = finished(self.logging, "m", b"data")
        self.disturb("rename_noreplace .* m/m-v000002.yaml", errno.EROFS)
        self.assertRaises(StorageReadOnly, writer.commit, version_info("m", 2, b"data"))
        said = "the registry's archive cannot be written (Read-only file system); reading still works"
        self.assertEqual(self.logged(), [self.warning(said)])


class ReadingTests(StorageErrorCase):
    """
    Failed reads.
    """

    def test_logged(self) -> None:
        """
        A failed read is logged once for each cause, whatever is read; another read that succeeds ends no cause.
        """
        self.disturb("(open|listdir|read) .*", errno.EMFILE)
        calls: tuple[Callable[[], object], ...] = (
            lambda: self.logging.load_model("m"),
            lambda: self.logging.version_numbers("m"),
            lambda: self.logging.load_version("m", 1),
            lambda: self.logging.open_version("m", 1),
            lambda: self.logging.high_water_mark("m"),
        )
        for call in calls:
            self.assertRaises(StorageFailure, call)
        self.clock.advance(REPEAT_SECONDS)
        self.disturb("read .*", errno.EMFILE)
        self.assertRaises(StorageFailure, data_of, self.logging, "m", 1)
        self.system.disturbance = None
        self.clock.advance(REPEAT_SECONDS)
        self.assertEqual(data_of(self.logging, "m", 1), b"data")
        said = str(TooManyOpenFiles(os.strerror(errno.EMFILE)))
        more = f" ({len(calls) - 1} more since the last line)"
        self.assertEqual(self.logged(), [self.warning(said), self.warning(said, more)])

    def test_one_cause_for_all_versions(self) -> None:
        """
        An unreachable disk is one cause, whatever is read; the message names what was read first.
        """
        for number in range(2, 2 + MAX_CAUSES):
            put(self.logging, "m", number)
        self.disturb("read .*", errno.ESTALE)
        for number in range(1, 2 + MAX_CAUSES):
            self.assertRaises(StorageUnavailable, self.logging.load_version, "m", number)
        said = str(StorageUnavailable(os.strerror(errno.ESTALE), "version 1 of model 'm'"))
        self.assertEqual(self.logged(), [self.warning(said)])

    def test_general_error(self) -> None:
        """
        A provider's general error is raised as one that may pass.
        """
        self.patch(self.archive, "load_version", lambda model_id, number: _raise(StorageFailure("the network is down")))
        error = self.assertRaises(StorageUnavailable, self.logging.load_version, "m", 1)
        self.assertEqual(error.reason, "the network is down")
        self.assertEqual(self.logged(), [self.warning(str(error))])


class InterfaceTests(StorageErrorCase):
    """
    The interfaces of the wrapped objects.
    """

    def test_provides_the_interfaces(self) -> None:
        """
        An archive, its readers and its writers provide their interfaces.
        """
        verifyObject(IArchive, self.logging)
        verifyObject(IArchiveWriter, self.logging.create_version("m"))
        reader = self.logging.open_version("m", 1)
        self.addCleanup(reader.close)
        verifyObject(IArchiveReader, reader)


class _FullArchive(MemoryArchive):
    """
    An archive on a full medium.
    """

    def save_model(self, info: ModelInfo) -> None:
        """See ``IModelStore.save_model``."""
        raise StorageFull("no room")


class RegistryTests(PumpedRegistryCase):
    """
    The registry's archive is logged, whatever the provider.
    """

    def make_archive(self, medium: MemoryMedium) -> MemoryArchive:
        """
        Make the archive.
        """
        return _FullArchive(medium)

    def test_logged(self) -> None:
        """
        A failure is logged with the archive's description, and again after a minute of the given clock.
        """
        with capturedLogs() as events:
            for _ in range(3):
                for _ in range(2):
                    self.fails(self.registry.save_model(ModelInfo("m")), StorageFull)
                self.clock.advance(REPEAT_SECONDS)
        logged = [formatEvent(event) for event in events]
        self.assertEqual(len(logged), 3)
        self.assertTrue(logged[0].startswith("storage error in the archive memory: "), logged[0])
