"""
The deletion of single versions.

Renaming a version's .yaml to ``.deleted-<number>`` is the one step that deletes it.  Its data and annotations are
removed at once, and its key a little later, together with those of other deleted versions; the renamed .yaml last.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack

from attrs import field, frozen

from twisted_registry.domain.errors import StorageFailure, StorageFull, UnknownVersion
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.storage.filesystem.alias_journal import AliasJournals
from twisted_registry.storage.filesystem.failures import is_absent, reason_of, removing
from twisted_registry.storage.filesystem.high_water_marks import HighWaterMarks
from twisted_registry.storage.filesystem.idempotency import parse_key_file_name
from twisted_registry.storage.filesystem.layout import DELETED_PREFIX, ModelFolder, marked_numbers, version_files
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pending_commits import PendingCommits
from twisted_registry.storage.filesystem.pinned_directory import remove
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import lexists, within

_JOIN_SECONDS = 1.0
"""How long other deletions of the model may join a removal, which lists the whole folder."""

_JOIN_MANY_SECONDS = 5.0
"""The same for deletions of many versions, which are part of a series that may empty a large folder."""

_JOIN_SHARE = 20.0
"""How many times as long as the last listing of the folder they may join at least."""


@frozen(eq=False)
class VersionDeletion:
    """
    The part of an archive that deletes versions.  Its methods may be called in any thread.
    """

    _staging: StagingArea
    _models: ModelFolders
    _marks: HighWaterMarks
    _pending: PendingCommits
    _aliases: AliasJournals
    # How long the last listings of folders took that are large.
    _listing_seconds: dict[str, float] = field(factory=dict, init=False)

    def delete(self, model_id: str, number: int) -> None:
        """
        Delete a version; see ``IVersionRemoval.delete_version``.
        """
        with removing(), self._models.open_existing(model_id) as folder:
            self._staging.root.check()
            self._check_exists(folder, model_id, number)
            self._aliases.cut(folder)
            self._raise_mark(folder, number)
            # The model may be listed meanwhile, and if the rename cannot be synced it is undone.
            with self._pending.in_progress(folder.name, folder.version_data_name(number)):
                self._rename(folder, [number])
            for name in _own_files(folder, number):
                self._staging.discard(folder.handle, name)
        self.remove_later(folder.name, _JOIN_SECONDS)

    def delete_all(self, model_id: str, numbers: Sequence[int]) -> None:
        """
        Delete versions; see ``IVersionRemoval.delete_versions``.
        """
        with removing(), self._models.open_existing(model_id) as folder:
            self._staging.root.check()
            present = [number for number in numbers if lexists(self._staging.system, folder.version_yaml(number))]
            if not present:
                return
            self._aliases.cut(folder)
            self._raise_mark(folder, max(present))
            with ExitStack() as in_progress:
                for number in present:
                    data = folder.version_data_name(number)
                    in_progress.enter_context(self._pending.in_progress(folder.name, data))
                self._rename(folder, present)
        listing_seconds = self._listing_seconds.get(folder.name, 0.0)
        self.remove_later(folder.name, max(_JOIN_MANY_SECONDS, _JOIN_SHARE * listing_seconds))

    def _check_exists(self, folder: ModelFolder, model_id: str, number: int) -> None:
        try:
            self._staging.system.lstat(folder.version_yaml(number))
        except OSError as error:
            if is_absent(error):
                raise UnknownVersion(model_id, number) from error
            raise

    def _raise_mark(self, folder: ModelFolder, number: int) -> None:
        if self._marks.get_in(folder) >= number:
            return
        # A higher number than needed, so that a mark is not written for each version when many are deleted.
        try:
            self._marks.set_in(folder, self._high_number(folder, number))
        except StorageFull as error:
            # A higher version proves the number as well, and deleting must be possible on a full disk.
            names = self._staging.system.listdir(folder.path)
            if number >= max(version_files(folder.name, names).numbers, default=0):
                raise StorageFailure(error.reason) from error

    def _high_number(self, folder: ModelFolder, number: int) -> int:
        """
        Return the number of an existing version from ``number`` on: the highest one, if no number below it is missing.
        To list a large folder would take seconds, for which commits would wait.
        """
        for exponent in reversed(range(MAX_VERSION_NUMBER.bit_length())):
            higher = number + (1 << exponent)
            if higher <= MAX_VERSION_NUMBER and lexists(self._staging.system, folder.version_yaml(higher)):
                number = higher
        return number

    def _rename(self, folder: ModelFolder, numbers: Sequence[int]) -> None:
        self._staging.retry_root_sync()
        renamed: list[tuple[str, str]] = []
        try:
            for number in numbers:
                yaml, deleted = folder.version_yaml(number), within(folder.path, folder.deleted_name(number))
                self._staging.system.rename(yaml, deleted)
                renamed.append((deleted, yaml))
            self._staging.sync_folder(folder.handle)
        except OSError as error:
            if not renamed:
                raise
            for deleted, yaml in renamed:
                self._staging.undo_rename(deleted, yaml)
            raise StorageFailure(reason_of(error)) from error

    def remove_later(self, folder_name: str, delay_seconds: float = 0.0) -> None:
        """
        Remove what is left of a model's deleted versions.

        Args:
            folder_name: the name of the model's folder.
            delay_seconds: how long other deletions may join before this starts.
        """
        place = f"{folder_name}/{DELETED_PREFIX}*"
        self._staging.removals.add(place, lambda: self._removal_steps(folder_name), delay_seconds)

    def _removal_steps(self, folder_name: str) -> Generator[None, None, None]:
        with self._staging.root.open_folder(folder_name) as handle:
            folder = ModelFolder(folder_name, handle)
            names = self._list(folder)
            # Few of the hundreds of thousands of names that a folder may have are hidden.
            hidden = [name for name in names if name[:1] == "."]
            numbers = {n for n in marked_numbers(hidden, DELETED_PREFIX) if self._pending.is_deleted(folder, n)}
            # The deletion is durable before anything is removed, and all else is durably gone before the .yaml is.
            self._staging.sync_folder(handle)
            yield from self._removing_steps(folder, _files_of(folder, numbers, names, hidden))
            self._staging.sync_folder(handle)
            yield from self._removing_steps(folder, map(folder.deleted_name, numbers))

    def _list(self, folder: ModelFolder) -> list[str]:
        seconds = self._staging.system.seconds
        began = seconds()
        names = self._staging.system.listdir(folder.handle)
        listing_seconds = seconds() - began
        if listing_seconds * _JOIN_SHARE > _JOIN_MANY_SECONDS:
            self._listing_seconds[folder.name] = listing_seconds
        else:
            self._listing_seconds.pop(folder.name, None)
        return names

    def _removing_steps(self, folder: ModelFolder, names: Iterable[str]) -> Generator[None, None, None]:
        for name in names:
            remove(self._staging.system, within(folder.path, name))
            yield


def _files_of(folder: ModelFolder, numbers: set[int], names: list[str], hidden: list[str]) -> list[str]:
    keys = [name for name in hidden if (key := parse_key_file_name(name)) and key.version_number in numbers]
    own_files = {name for number in numbers for name in _own_files(folder, number)}
    # Not by a set of all names: a single call into C blocks all other threads.
    return [*keys, *[name for name in names if name in own_files]]


def _own_files(folder: ModelFolder, number: int) -> tuple[str, str]:
    return folder.version_data_name(number), folder.annotations_name(number)
