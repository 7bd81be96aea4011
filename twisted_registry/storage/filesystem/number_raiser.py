"""
The raising of version numbers in an archive that was restored from a backup.

Versions that were created after the backup are lost.  Their numbers must not be used again, because clients cache
versions by number and would take a new version for the lost one.
"""

import os
from collections.abc import Iterator

from attrs import frozen

from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.storage.filesystem.backup_mark import (
    BACKUP_PATH,
    read_backup_mark,
    remove_mark,
    why_not_opened,
)
from twisted_registry.storage.filesystem.failures import Malformed, reason_of
from twisted_registry.storage.filesystem.high_water_marks import HighWaterMarks
from twisted_registry.storage.filesystem.identity import IdentityFile
from twisted_registry.storage.filesystem.layout import (
    PRIVATE_FOLDER,
    ModelFolder,
    is_hashed_name,
    model_id_of_any_form,
    version_files,
)
from twisted_registry.storage.filesystem.model_folders import ModelFolders, leads_to_model
from twisted_registry.storage.filesystem.pinned_directory import PinnedDirectory
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import System, lexists, within
from twisted_registry.storage.filesystem.verify.findings import CannotVerify

DEFAULT_BY = 1_000_000
"""
The default amount by which numbers are raised.  A trainer that creates a version each second takes eleven days to use
as many, so this covers a backup from last week.  A model's numbers last for two thousand restores.
"""


@frozen
class RaisedNumbers:
    """
    The outcome for one model.

    Attributes:
        folder: the name of the model's folder.
        model_id: ``None`` if the folder's name does not contain the id.
        before: the highest number that may have been assigned, as far as the archive shows.
        after: the next version gets a higher number than this.
        error: why the numbers were not raised; empty if they were.
    """

    folder: str
    model_id: str | None
    before: int
    after: int
    error: str = ""

    @property
    def is_raised(self) -> bool:
        """
        Return whether the next number is higher than before.
        """
        return not self.error and self.after > self.before


class NumberRaiser:
    """
    An operation that raises the numbers of all models.  The caller holds the archive's lock.
    """

    def __init__(self, root: str, by: int = DEFAULT_BY, to: int | None = None, system: System | None = None) -> None:
        """
        Args:
            root: the archive's folder.
            by: how many numbers to skip.
            to: a number to raise all lower numbers to, in place of ``by``.
            system: the operating system.
        """
        self._by = by
        self._to = to
        self._system = system or System()
        self._root = PinnedDirectory(os.path.abspath(root), self._system)
        self._staging = StagingArea(self._root)
        self._models = ModelFolders(self._staging)
        self._marks = HighWaterMarks(self._staging, self._models)

    def run(self) -> Iterator[RaisedNumbers]:
        """
        Raise the numbers of each model, and count the restore in the archive's identity.

        Returns:
            the outcome for each model, ordered by the names of the folders.

        Raises:
            CannotVerify: there is no archive, or it cannot be read or written at all.
        """
        try:
            self._root.open(locked=False)
            self._check_is_whole()
            names = sorted(
                name for name in self._folders() if model_id_of_any_form(name) is not None or is_hashed_name(name)
            )
            if not names and not lexists(self._system, within(self._root.folder, PRIVATE_FOLDER)):
                raise CannotVerify(f"{self._root.path!r} is not an archive: it holds neither a model nor the folder .0")
            failed = False
            for name in names:
                if (raised := self._raise_numbers(name)) is not None:
                    failed |= bool(raised.error)
                    yield raised
            IdentityFile(self._staging).count_restore()
            if not failed and lexists(self._system, within(self._root.folder, BACKUP_PATH)):
                remove_mark(self._system, self._root.folder)
        except (OSError, RegistryError) as error:
            raise self._cannot_change(error) from error
        finally:
            self._root.close()

    def _check_is_whole(self) -> None:
        try:
            mark = read_backup_mark(self._system, self._root.folder)
        except Malformed:
            return
        if mark is not None and not mark.is_complete:
            raise CannotVerify(why_not_opened(self._system, self._root.folder, self._root.path))

    def _cannot_change(self, error: OSError | RegistryError) -> CannotVerify:
        if isinstance(error, CannotVerify):
            return error
        return CannotVerify(f"the archive {self._root.path!r} cannot be changed: {_reason(error)}")

    def _folders(self) -> Iterator[str]:
        root = self._root.folder
        for entry in self._system.scandir(root):
            if entry.is_folder or (entry.is_link and leads_to_model(self._system, root, entry)):
                yield entry.name

    def _raise_numbers(self, name: str) -> RaisedNumbers | None:
        try:
            with self._root.open_folder(name) as handle:
                folder = ModelFolder(name, handle)
                return self._raise_in(folder) if self._models.is_model(folder) else None
        except (OSError, RegistryError) as error:
            return RaisedNumbers(name, model_id_of_any_form(name), 0, 0, _reason(error))

    def _raise_in(self, folder: ModelFolder) -> RaisedNumbers:
        numbers = version_files(folder.name, self._system.listdir(folder.path)).numbers
        before = max(self._marks.get_in(folder), max(numbers, default=0))
        after = before + self._by if self._to is None else max(before, self._to)
        model_id = model_id_of_any_form(folder.name)
        if after > MAX_VERSION_NUMBER:
            reason = f"the highest possible number is {MAX_VERSION_NUMBER}; use a smaller --by"
            return RaisedNumbers(folder.name, model_id, before, before, reason)
        self._marks.set_in(folder, after)
        return RaisedNumbers(folder.name, model_id, before, after)


def _reason(error: OSError | RegistryError) -> str:
    return reason_of(error) if isinstance(error, OSError) else str(error)
