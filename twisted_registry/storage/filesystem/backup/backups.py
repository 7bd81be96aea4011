"""
A folder of backups, each in a folder that is named by the time when it began.

A backup gets that name when it is complete and durable.  Until then its name is ``.partial``, and if it is interrupted,
the next backup goes on with it.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from types import TracebackType

from attrs import frozen

from twisted_registry.storage.filesystem.backup.copy import CopyCounts
from twisted_registry.storage.filesystem.backup.target import CannotCopy, Target, check_space
from twisted_registry.storage.filesystem.backup_mark import BackupMark, format_backup_mark, read_backup_mark
from twisted_registry.storage.filesystem.failures import Malformed, reason_of
from twisted_registry.storage.filesystem.layout import BACKUP, PRIVATE_FOLDER
from twisted_registry.storage.filesystem.pinned_directory import open_folder, pin_folder
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, lexists, within

_NAME = re.compile(r"\d{8}T\d{6}Z(?:-\d+)?")
_STAMP = "%Y%m%dT%H%M%SZ"
_PARTIAL = ".partial"
_REMOVED = ".removed-"
_LOCK = ".lock"


@frozen
class Backup:
    """
    A complete backup.

    Attributes:
        name: the name of its folder.
        mark: what it holds.
    """

    name: str
    mark: BackupMark


class Backups:
    """
    A folder of backups: a context manager.
    """

    def __init__(self, path: str, system: System | None = None, seconds: Callable[[], float] = time.time) -> None:
        """
        Args:
            path: the folder.
            system: the system's calls; ``None`` for the real ones.
            seconds: returns the time in seconds since the Unix epoch.
        """
        self._path = os.path.abspath(path)
        self._system = system or System()
        self._seconds = seconds
        self._closing = ExitStack()
        self._began_ns = 0

    def __enter__(self) -> "Backups":
        try:
            descriptor = self._system.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            self._closing.callback(close_quietly, self._system, descriptor)
        except OSError as error:
            raise self._unusable(error) from error
        self._folder = Folder(self._path, descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.close()

    def _unusable(self, error: OSError) -> CannotCopy:
        return CannotCopy(f"the folder of backups {self._path!r} cannot be used: {reason_of(error)}")

    @property
    def path(self) -> str:
        """
        The absolute path of the folder.
        """
        return self._path

    def complete(self) -> list[Backup]:
        """
        Return the complete backups, in the order of their names.
        """
        found = []
        for name in filter(_NAME.fullmatch, self._names()):
            with suppress(OSError, Malformed), open_folder(self._system, within(self._folder, name)) as root:
                mark = read_backup_mark(self._system, root)
                if mark is not None and mark.is_complete:
                    found.append(Backup(name, mark))
        return sorted(found, key=lambda backup: _order(backup.name))

    def _names(self) -> list[str]:
        try:
            return sorted(self._system.listdir(self._folder))
        except OSError as error:
            raise self._unusable(error) from error

    def check_apart(self, archive: Folder) -> None:
        """
        Check that the folder is not in the archive.

        Raises:
            CannotCopy: it is.
        """
        held = self._system.fstat(archive.descriptor)
        path = os.path.realpath(self._path)
        while True:
            status = self._system.stat(path)
            if (status.st_dev, status.st_ino) == (held.st_dev, held.st_ino):
                raise CannotCopy(f"{self._path!r} is in the archive; keep backups elsewhere, best on another disk")
            if path == (path := os.path.dirname(path)):
                return

    def is_same_disk(self, archive: Folder) -> bool:
        """
        Return whether the archive is on the same file system.
        """
        return self._system.fstat(archive.descriptor).st_dev == self._system.fstat(self._folder.descriptor).st_dev

    def check_space(self, size_bytes: int) -> None:
        """
        Check that there is space for some data.

        Raises:
            CannotCopy: there is not.
        """
        check_space(self._folder, size_bytes)

    def start(self) -> Target:
        """
        Begin a backup, and lock the folder for it.

        Returns:
            its target.  What an interrupted one has copied stays, and what earlier ones have is linked.

        Raises:
            CannotCopy: another process makes a backup in the folder, or the folder cannot be written.
        """
        self._lock()
        self._began_ns = int(self._seconds() * 1e9)
        for name in self._names():
            if name.startswith(_REMOVED):
                Target(self._system, self._folder).remove(name)
        try:
            with suppress(FileExistsError):
                self._system.mkdir(within(self._folder, _PARTIAL))
            partial = self._pin(_PARTIAL)
            newest = [self._pin(backup.name) for backup in self.complete()[:-3:-1]]
            return Target(self._system, partial, [partial, *newest])
        except OSError as error:
            raise self._unusable(error) from error

    def _lock(self) -> None:
        # A separate file, because NFS locks only what is open for writing, which a folder cannot be.
        try:
            descriptor = self._system.open(within(self._folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        except OSError as error:
            raise self._unusable(error) from error
        self._closing.callback(close_quietly, self._system, descriptor)
        try:
            self._system.flock(descriptor)
        except BlockingIOError as error:
            raise CannotCopy(f"another backup is being made in {self._path!r}") from error
        except OSError:
            return  # a file system without locks

    def _pin(self, name: str) -> Folder:
        folder = pin_folder(self._system, within(self._folder, name))
        self._closing.callback(close_quietly, self._system, folder.descriptor)
        return folder

    def finish(self, target: Target, counts: CopyCounts) -> str:
        """
        Complete a backup: mark it, make it durable, and give it its name.

        Returns:
            its name.
        """
        mark = BackupMark(self._began_ns, counts.models, counts.versions, counts.size_bytes, counts.damaged)
        with target.folder(PRIVATE_FOLDER) as folder:
            folder.write(BACKUP, format_backup_mark(mark))
        target.sync(target.root)
        stamp = datetime.fromtimestamp(self._began_ns // 10**9, UTC).strftime(_STAMP)
        name = _free_name(stamp, set(self._names()))
        with target.writing():
            self._system.rename(within(self._folder, _PARTIAL), within(self._folder, name))
            self._system.fsync(self._folder.descriptor)
        return name

    def remove_older(self, made: str, keep: int) -> Iterator[str]:
        """
        Remove the oldest complete backups.

        Args:
            made: the name of the one that was just made, which stays.
            keep: how many stay, with that one.

        Returns:
            the names of those that were removed.
        """
        target = Target(self._system, self._folder)
        others = [backup for backup in self.complete() if backup.name != made]
        for backup in others[: max(0, len(others) - keep + 1)]:
            # Half a backup must not look complete.
            with target.writing():
                self._system.rename(within(self._folder, backup.name), within(self._folder, _REMOVED + backup.name))
                self._system.fsync(self._folder.descriptor)
            target.remove(_REMOVED + backup.name)
            yield backup.name


def _free_name(name: str, names: set[str]) -> str:
    free, count = name, 1
    while free in names:
        count += 1
        free = f"{name}-{count}"
    return free


def _order(name: str) -> tuple[str, int]:
    stamp, _, count = name.partition("-")
    return stamp, int(count or 1)


def newest_backup(path: str, system: System | None = None) -> str:
    """
    Return the path of a backup: the path itself, or the newest in a folder of backups.

    Raises:
        CannotCopy: it is neither a complete backup, nor does it contain one.
    """
    system = system or System()
    with Backups(path, system) as backups:
        if lexists(system, os.path.join(backups.path, PRIVATE_FOLDER)):
            return backups.path
        complete = backups.complete()
    if not complete:
        raise CannotCopy(f"{path!r} is not a complete backup, and does not contain one")
    return os.path.join(backups.path, complete[-1].name)
