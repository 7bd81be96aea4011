"""
Raising the numbers of an archive that was restored from a backup.

Versions that were created after the backup are lost, and their numbers must not be given again: clients cache by them,
and whoever has one of those versions would take another one for it.
"""

import os
from collections.abc import Iterator

from attrs import frozen

from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.storage.filesystem.failures import reason_of
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
from twisted_registry.storage.filesystem.system import Folder, System, lexists, within
from twisted_registry.storage.filesystem.verify.findings import CannotVerify
from twisted_registry.storage.filesystem.versions import HighWaterMarks

DEFAULT_BY = 1_000_000
"""
By how much numbers are raised if nobody says it.  A trainer that creates a version each second needs eleven days for as
many, so a backup of last week is covered; and a model's numbers last for two thousand restores.
"""


@frozen
class RaisedNumbers:
    """
    What became of a model's numbers.

    Attributes:
        folder: the name of the model's folder.
        model_id: ``None`` where the folder's name does not tell it.
        before: the highest number that may have been given, as far as the archive knows.
        after: the next version gets a higher number than this.
        error: why they were not raised; empty where they were.
    """

    folder: str
    model_id: str | None
    before: int
    after: int
    error: str = ""


class NumberRaiser:
    """
    Raises the numbers of all models.  The lock of the archive must be held.
    """

    def __init__(self, root: str, by: int = DEFAULT_BY, to: int | None = None, system: System | None = None) -> None:
        """

        Args:
            by: how many numbers to pass over.
            to: the number that all models are raised to, unless they are beyond it; in place of ``by``.
        """
        self._by = by
        self._to = to
        self._system = system or System()
        self._root = PinnedDirectory(os.path.abspath(root), self._system)
        self._staging = StagingArea(self._root)
        self._models = ModelFolders(self._staging)
        self._marks = HighWaterMarks(self._staging, self._models)

    def models(self) -> Iterator[RaisedNumbers]:
        """
        Raise the numbers of each model, and note in the archive's identity that it was restored.

        Returns:
            what became of each, ordered by the folders' names.

        Raises:
            CannotVerify: there is no archive, or it cannot be read or written at all.
        """
        try:
            self._root.open(locked=False)
            names = sorted(
                name for name in self._folders() if model_id_of_any_form(name) is not None or is_hashed_name(name)
            )
            if not names and not lexists(self._system, within(self._root.folder, PRIVATE_FOLDER)):
                raise CannotVerify(f"{self._root.path!r} is no archive: it holds neither a model nor the folder .0")
            for name in names:
                if (raised := self._raised(name)) is not None:
                    yield raised
            IdentityFile(self._staging).count_restore()
        except (OSError, RegistryError) as error:
            raise self._cannot(error) from error
        finally:
            self._root.close()

    def _cannot(self, error: OSError | RegistryError) -> CannotVerify:
        if isinstance(error, CannotVerify):
            return error
        return CannotVerify(f"the archive {self._root.path!r} cannot be changed: {_reason(error)}")

    def _folders(self) -> Iterator[str]:
        root = self._root.folder
        for entry in self._system.scandir(root):
            if entry.is_folder or (entry.is_link and leads_to_model(self._system, root, entry)):
                yield entry.name

    def _raised(self, name: str) -> RaisedNumbers | None:
        try:
            with self._root.open_folder(name) as opened:
                folder = ModelFolder(name, opened)
                return self._raise_in(folder, opened) if self._models.is_model(folder) else None
        except (OSError, RegistryError) as error:
            return RaisedNumbers(name, model_id_of_any_form(name), 0, 0, _reason(error))

    def _raise_in(self, folder: ModelFolder, opened: Folder) -> RaisedNumbers:
        numbers = version_files(folder.name, self._system.listdir(opened)).numbers
        before = max(self._marks.get_in(folder), max(numbers, default=0))
        after = before + self._by if self._to is None else max(before, self._to)
        model_id = model_id_of_any_form(folder.name)
        if after > MAX_VERSION_NUMBER:
            reason = f"no number is higher than {MAX_VERSION_NUMBER}; give a smaller --by"
            return RaisedNumbers(folder.name, model_id, before, before, reason)
        self._marks.set_in(folder, after)
        return RaisedNumbers(folder.name, model_id, before, after)


def _reason(error: OSError | RegistryError) -> str:
    return reason_of(error) if isinstance(error, OSError) else str(error)
