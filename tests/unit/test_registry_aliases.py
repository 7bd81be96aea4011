"""
Tests of the history of aliases in the registry, read while it changes.
"""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from tests.support.faulty_system import FaultySystem
from tests.support.registry import PumpedRegistryCase
from twisted_registry.domain.aliases import AliasChange, AliasMove
from twisted_registry.domain.errors import StorageFailure
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.claim import ClaimTimes
from twisted_registry.testing.memory_archive import MemoryMedium


class HistoryCase(PumpedRegistryCase):
    """
    A model with three archived versions and one move, on the file system.
    """

    def make_archive(self, medium: MemoryMedium) -> Any:
        """
        Make an archive on a system that can be disturbed.
        """
        self.root = Path(self.mktemp()).absolute()
        self.system = FaultySystem(str(self.root))
        archive = FilesystemArchive(str(self.root), self.system, ClaimTimes(seconds=lambda: 0.0))
        self.addCleanup(archive.close)
        return archive

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.save()
        for _ in range(3):
            self.create(archived=True)
        self.done(self.start_move(1))

    def start_move(self, number: int) -> "Deferred[AliasMove]":
        """
        Begin to move the alias.
        """
        return self.registry.move_alias(self.snapshot(), AliasChange("production", number))

    def start_reading(self, before: int | None = None) -> "Deferred[Sequence[AliasMove]]":
        """
        Begin to read the history.
        """
        return self.registry.alias_moves(self.snapshot(), None, before, None)


class UndurableTests(HistoryCase):
    """
    Another thread reads the history while a move is written and not durable yet.
    """

    def read_before_sync(self, error: OSError | None = None) -> tuple[Any, list[int]]:
        """
        Move the alias, and read the history after its line was written and before that is synced.

        Args:
            error: fails the sync.

        Returns:
            the move, which is over or failed; the numbers to which moves were found.
        """
        read: list[Any] = []

        def disturb(call: str) -> None:
            if call == "sync_data m/.aliases" and not read:
                read.append(self.start_reading())
                self.disk.pump(1)
                if error is not None:
                    raise error

        self.system.disturbance = disturb
        move = self.start_move(2)
        self.pump()
        return move, [found.to_number for found in self.successResultOf(read[0])]

    def test_not_synced(self) -> None:
        """
        A move is not found before it is durable, and is found once it is answered.
        """
        move, numbers = self.read_before_sync()
        self.assertEqual(numbers, [1])
        answered = self.successResultOf(move)
        self.assertEqual(self.done(self.start_reading())[-1], answered)
        self.assertEqual([found.to_number for found in self.done(self.start_reading(answered.sequence))], [1])

    def test_failed(self) -> None:
        """
        A move that fails was never found.
        """
        move, numbers = self.read_before_sync(OSError(errno.EIO, "I/O error"))
        self.failureResultOf(move, StorageFailure)
        self.assertEqual(numbers, [1])


class SeriesTests(HistoryCase):
    """
    Versions are deleted one after the other while the history is read.
    """

    def test_read_once(self) -> None:
        """
        The history is read once, and not again after each deletion.
        """
        calls: list[int] = []
        read, numbers = self.archive.alias_moves, iter([2, 3])

        def delete_and_read(*arguments: Any) -> Any:
            calls.append(len(calls))
            number = next(numbers, None)
            if number is not None:
                self.registry.delete_version(self.snapshot(), number)
            return read(*arguments)

        self.patch(self.archive, "alias_moves", delete_and_read)
        self.assertEqual(len(self.done(self.start_reading())), 1)
        self.assertEqual(calls, [0])


class EarlierArchiveTests(PumpedRegistryCase):
    """
    The archive lost its newest versions and kept its history of aliases.
    """

    def setUp(self) -> None:
        """
        Move an alias to version 3 and away again.
        """
        super().setUp()
        self.save()
        for number in (1, 2, 3):
            self.create(archived=True)
            self.done(self.registry.move_alias(self.snapshot(), AliasChange("production", number)))
        self.done(self.registry.move_alias(self.snapshot(), AliasChange("production", 1)))

    def reopen(self) -> list[str]:
        """
        Open the registry again, and return its warnings.
        """
        with capturedLogs() as events:
            self.open()
            self.done(self.registry.load_snapshot("m"))
        return [formatEvent(event) or "" for event in events if event["log_level"] is LogLevel.warn]

    def test_noticed(self) -> None:
        """
        Numbers continue after the highest one that an alias has ever named, and the log warns.
        """
        medium = self.medium.models["m"]
        medium.versions = {1: medium.versions[1]}
        medium.high_water_mark = 1
        (line,) = self.reopen()
        self.assertIn("named version 3, and the highest version in the archive is 1", line)
        self.assertEqual(self.create().version_number, 4)

    def test_deleted(self) -> None:
        """
        Versions that were deleted since cause no warning.
        """
        for number in (3, 2):
            self.done(self.registry.delete_version(self.snapshot(), number))
        self.assertEqual(self.reopen(), [])
        self.assertEqual(self.create().version_number, 4)
