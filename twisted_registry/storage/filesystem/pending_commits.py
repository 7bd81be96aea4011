"""
Versions between two states: data files whose version is being committed, deleted, or was left by a failed commit.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from twisted.logger import Logger

from twisted_registry.storage.filesystem.layout import ModelFolder
from twisted_registry.storage.filesystem.pinned_directory import remove
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import lexists, within

_log = Logger()


class PendingCommits:
    """
    The data files that have their final names while their .yaml files have not: those of commits in progress, and
    those that a crash or a failed commit left.

    Only this class can tell them apart, so only it removes leftovers.
    """

    def __init__(self, staging: StagingArea) -> None:
        self._staging = staging
        self._lock = Lock()
        # Pairs of a folder's name and a file's name.
        self._in_progress: set[tuple[str, str]] = set()
        self._leftovers: set[tuple[str, str]] = set()

    @contextmanager
    def in_progress(self, folder: str, data: str) -> Iterator[None]:
        """
        Protect a data file from removal as a leftover.
        """
        with self._lock:
            self._in_progress.add((folder, data))
        try:
            yield
        finally:
            with self._lock:
                self._in_progress.discard((folder, data))

    def remove_leftover(self, folder: ModelFolder, number: int, name: str = "") -> bool:
        """
        Remove a file of a version, unless the version exists or is being committed.  Never raises.

        Args:
            name: the file's name; empty for the data.

        Returns:
            whether no leftover remains.
        """
        data, yaml = folder.version_data_name(number), folder.version_yaml(number)
        name = name or data
        with self._lock:
            if (folder.name, data) in self._in_progress:
                return True
            try:
                if lexists(self._staging.system, yaml):
                    return True
            except OSError:
                return False
            if not self._staging.discard(folder.handle, name):
                return False
        _log.info("removed {path}, which a crash had left behind", path=within(folder.path, name))
        return True

    def is_deleted(self, folder: ModelFolder, number: int) -> bool:
        """
        Return whether a version's .yaml has the name of a deleted version's, and no deletion under way may restore it.

        Raises:
            OSError: this cannot be determined.
        """
        with self._lock:
            is_in_progress = (folder.name, folder.version_data_name(number)) in self._in_progress
            return not is_in_progress and lexists(
                self._staging.system, within(folder.path, folder.deleted_name(number))
            )

    def remove_marks(self, folder: ModelFolder, numbers: Iterable[int]) -> bool:
        """
        Remove the marks of promotions that are not under way, after the data of those that failed was removed.  Never
        raises.

        Returns:
            whether none of these marks remains.
        """
        if not self._staging.try_sync_folder(folder.handle):
            return False
        with self._lock:
            over = [n for n in numbers if (folder.name, folder.version_data_name(n)) not in self._in_progress]
            removed = [self._staging.discard(folder.handle, folder.promoting_name(n)) for n in over]
        return all(removed)

    def note_leftover(self, folder: ModelFolder, name: str) -> None:
        """
        Record a file that a failed commit could not remove.
        """
        with self._lock:
            self._leftovers.add((folder.name, name))

    def remove_leftovers(self, folder: ModelFolder) -> None:
        """
        Remove the files that failed commits left in a folder.  Once a higher version exists, they could no longer be
        recognized as leftovers.

        Raises:
            OSError: a file remains.
        """
        with self._lock:
            leftovers = [name for folder_name, name in self._leftovers if folder_name == folder.name]
        if leftovers:
            self._staging.sync_folder(folder.handle)
        for name in leftovers:
            remove(self._staging.system, within(folder.path, name))
            with self._lock:
                self._leftovers.discard((folder.name, name))
