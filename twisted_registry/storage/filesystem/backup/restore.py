"""
The restore of a backup.

The copy has a mark until its version numbers are raised, so that no daemon opens it before.  An interrupted restore
goes on with what it has copied.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from attrs import evolve

from twisted_registry.storage.filesystem.backup.copy import JOBS, ArchiveCopy
from twisted_registry.storage.filesystem.backup.target import IGNORED, CannotCopy, Target, check_space
from twisted_registry.storage.filesystem.backup_mark import (
    BackupMark,
    format_backup_mark,
    read_backup_mark,
    remove_mark,
)
from twisted_registry.storage.filesystem.failures import Malformed, is_absent, reason_of
from twisted_registry.storage.filesystem.layout import BACKUP, IDENTITY, PRIVATE_FOLDER, is_temp_file
from twisted_registry.storage.filesystem.pinned_directory import open_folder
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, within
from twisted_registry.storage.filesystem.verify.findings import Finding


def prepare_root(root: str, system: System | None = None) -> None:
    """
    Create the directory of an archive, if it is missing.

    Raises:
        CannotCopy: it cannot be created.
    """
    try:
        with suppress(FileExistsError):
            (system or System()).mkdir(os.path.abspath(root))
    except OSError as error:
        raise CannotCopy(f"the archive's directory {root!r} cannot be created: {reason_of(error)}") from error


def keep_numbers(root: str, system: System | None = None) -> None:
    """
    Let daemons open a restored archive without raising its numbers, because nothing was created after the backup.

    Raises:
        CannotCopy: the archive cannot be written.
    """
    system, path = system or System(), os.path.abspath(root)
    try:
        with open_folder(system, path) as opened:
            remove_mark(system, opened)
    except OSError as error:
        raise CannotCopy(f"the archive's directory {root!r} cannot be written: {reason_of(error)}") from error


class Restore:
    """
    The restore of one backup into an empty directory, or into one in which a restore of it was interrupted.  The caller
    holds the archive's lock.

    Attributes:
        copy: the copying.
    """

    def __init__(
        self,
        backup: str,
        root: str,
        *,
        jobs: int = JOBS,
        system: System | None = None,
        on_read: Callable[[int], None] = lambda size_bytes: None,
    ) -> None:
        """
        Args:
            backup: the directory of the backup.
            root: the directory of the archive; it exists.
            jobs: how many files are copied at once.
            system: the system's calls; ``None`` for the real ones.
            on_read: called with the number of bytes of data just read, in any thread.
        """
        self.copy = ArchiveCopy(backup, jobs=jobs, system=system, on_read=on_read)
        self._backup = backup
        self._system = self.copy.system
        self._root = os.path.abspath(root)

    def run(self, *, with_new_id: bool = False) -> Iterator[Finding]:
        """
        Copy the backup.  The version numbers are still to be raised.

        Args:
            with_new_id: whether the archive gets a new id when it is first opened.

        Returns:
            the findings, as they are found.

        Raises:
            CannotCopy: it cannot be restored.
            StorageUnavailable: this process has reached a limit, such as that on open files.
        """
        descriptor = self._opened()
        try:
            root = Folder(self._root, descriptor)
            mark = self._checked_mark(root)
            check_space(root, self.copy.measure([root]))
            target = Target(self._system, root, [root])
            self._write_mark(target, evolve(mark, is_complete=False))
            yield from self.copy.run(target)
            if with_new_id:
                with target.folder(PRIVATE_FOLDER) as folder:
                    folder.remove(IDENTITY)
            self._write_mark(target, mark)
        finally:
            close_quietly(self._system, descriptor)

    def _opened(self) -> int:
        try:
            return self._system.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise CannotCopy(f"the archive's directory {self._root!r} cannot be used: {reason_of(error)}") from error

    def _checked_mark(self, root: Folder) -> BackupMark:
        mark = _mark(self._system, self.copy.root)
        if mark is None or not mark.is_complete:
            raise CannotCopy(f"{self._backup!r} is not a complete backup of 'twisted-registry archive backup'")
        if not self._is_empty(root):
            there = _mark(self._system, root)
            if there is None:
                raise CannotCopy(
                    f"{self._root!r} is not empty: move what is there away first, with the hidden directory .0"
                )
            if evolve(there, is_complete=True) != mark:
                raise CannotCopy(f"{self._root!r} has another backup, or a part of it: empty it first")
        return mark

    def _is_empty(self, root: Folder) -> bool:
        names = set(self._system.listdir(root)) - IGNORED
        if names != {PRIVATE_FOLDER}:
            return not names
        # A restore may have been interrupted before it wrote its mark.
        return all(map(is_temp_file, self._system.listdir(within(root, PRIVATE_FOLDER))))

    def _write_mark(self, target: Target, mark: BackupMark) -> None:
        with target.folder(PRIVATE_FOLDER) as folder:
            folder.replace(BACKUP, format_backup_mark(mark))
        target.sync(target.root)


def _mark(system: System, root: Folder) -> BackupMark | None:
    try:
        return read_backup_mark(system, root)
    except Malformed as error:
        raise CannotCopy(f"the mark of the backup in {str(root)!r} is damaged: {error.reason}") from error
    except OSError as error:
        if is_absent(error):
            return None
        raise CannotCopy(f"{str(root)!r} cannot be read: {reason_of(error)}") from error
