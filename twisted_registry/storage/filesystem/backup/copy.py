"""
The copying of an archive, whether or not a daemon is using it.

Nothing is locked, and the archive is not changed.  Each model is copied as it was at some time after the copying began,
so that everything that was acknowledged before is in the copy, unless it was deleted meanwhile.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType

from attrs import define

from twisted_registry.domain.errors import ArchiveMoved
from twisted_registry.storage.filesystem.backup.model import ModelCopy
from twisted_registry.storage.filesystem.backup.target import CannotCopy, Target
from twisted_registry.storage.filesystem.backup.version import VersionCopier
from twisted_registry.storage.filesystem.failures import is_absent, reason_of
from twisted_registry.storage.filesystem.jobs import OrderedJobs
from twisted_registry.storage.filesystem.layout import (
    IDENTITY,
    PRIVATE_FOLDER,
    RETENTION_PREFIXES,
    is_hashed_name,
    model_id_of_any_form,
)
from twisted_registry.storage.filesystem.model_folders import leads_to_model
from twisted_registry.storage.filesystem.pinned_directory import PinnedDirectory, open_folder
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, lexists, within
from twisted_registry.storage.filesystem.verify.findings import Finding, Kind
from twisted_registry.storage.filesystem.verify.lifecycle import prefix_findings
from twisted_registry.storage.filesystem.verify.model import Inspection, inspect_folder
from twisted_registry.storage.filesystem.verify.version import Unreadable, VersionCheck, read_small_file

JOBS = 4
"""How many files are copied at once by default: few, because a daemon may need the disk."""

_MAX_ATTEMPTS = 3


@define
class CopyCounts:
    """
    The amount of data copied so far.

    Attributes:
        models: the number of models.
        versions: the number of versions.
        size_bytes: the size of their data in bytes.
        new_bytes: the size of the data that no earlier copy had, in bytes.
        damaged: the number of files that are damaged or could not be read.
    """

    models: int = 0
    versions: int = 0
    size_bytes: int = 0
    new_bytes: int = 0
    damaged: int = 0


class ArchiveCopy:
    """
    One copying of an archive: a context manager, which ends its threads and closes its descriptors.

    Attributes:
        counts: the amount of data copied so far.
    """

    def __init__(
        self,
        root: str,
        *,
        jobs: int = JOBS,
        system: System | None = None,
        on_read: Callable[[int], None] = lambda size_bytes: None,
    ) -> None:
        """
        Args:
            root: the archive's directory.
            jobs: how many files are copied at once.
            system: the system's calls; ``None`` for the real ones.
            on_read: called with the number of bytes of data just read, in any thread.
        """
        self.counts = CopyCounts()
        self.system = system or System()
        self._held = PinnedDirectory(os.path.abspath(root), self.system)
        self._jobs = OrderedJobs(jobs, "copy")
        self._copier = VersionCopier(self.system, VersionCheck(self.system, on_read, self._jobs.is_stopped))

    def __enter__(self) -> "ArchiveCopy":
        try:
            self._held.open(locked=False)
        except OSError as error:
            raise self._unusable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._jobs.stop()
        self._held.close()

    @property
    def root(self) -> Folder:
        """
        The open directory of the archive.
        """
        return self._held.folder

    def _unusable(self, error: OSError) -> CannotCopy:
        return CannotCopy(f"the archive's directory {self._held.path!r} cannot be read: {reason_of(error)}")

    def measure(self, earlier: Sequence[Folder]) -> int:
        """
        Return about how many bytes of data are to be copied.

        Args:
            earlier: earlier copies; what has the same name and size in one of them does not count.
        """
        return sum(self._jobs.results(partial(self._size_of, name, earlier) for name in self._folders()))

    def _size_of(self, name: str, earlier: Sequence[Folder]) -> int:
        # What cannot be read here is reported when it is copied.
        sizes = self._data_sizes(self.root, name)
        known = {item for root in earlier for item in self._data_sizes(root, name).items()}
        return sum(size_bytes for file, size_bytes in sizes.items() if (file, size_bytes) not in known)

    def _data_sizes(self, root: Folder, name: str) -> dict[str, int]:
        try:
            with open_folder(self.system, within(root, name)) as folder:
                data = [file for file in self.system.listdir(folder) if file.endswith(".data")]
                return {file: self.system.lstat(within(folder, file)).st_size for file in data}
        except OSError:
            return {}

    def run(self, target: Target) -> Iterator[Finding]:
        """
        Copy the archive.

        Returns:
            the findings, as they are found.

        Raises:
            CannotCopy: there is no archive, or the target cannot be written.
            StorageUnavailable: this process has reached a limit, such as that on open files.
        """
        for finding in self._run(target):
            if finding.is_damage:
                self.counts.damaged += 1
                yield finding

    def _run(self, target: Target) -> Iterator[Finding]:
        names = self._folders()
        yield from self._copy_private(target)
        for name in names:
            yield from self._copy_model(name, target)
        if not self.counts.models and not lexists(self.system, within(self.root, PRIVATE_FOLDER)):
            raise CannotCopy(f"{self._held.path!r} is not an archive: it contains neither a model nor the directory .0")
        self._check_place()
        target.remove_others()
        target.sync(target.root)

    def _check_place(self) -> None:
        # If the disk was unmounted meanwhile, what is missing in the copy may not have been deleted.
        try:
            self._held.check()
        except OSError as error:
            raise self._unusable(error) from error
        except ArchiveMoved as error:
            raise CannotCopy(f"the archive {self._held.path!r} was moved meanwhile: {error.reason}") from error

    def _folders(self) -> list[str]:
        try:
            entries = sorted(self.system.scandir(self.root))
        except OSError as error:
            raise self._unusable(error) from error
        return [
            entry.name
            for entry in entries
            if (model_id_of_any_form(entry.name) is not None or is_hashed_name(entry.name))
            and (entry.is_folder or (entry.is_link and leads_to_model(self.system, self.root, entry)))
        ]

    def _copy_private(self, target: Target) -> Iterator[Finding]:
        with target.folder(PRIVATE_FOLDER) as folder:
            for name, kind in ((IDENTITY, Kind.FOLDER), (RETENTION_PREFIXES, Kind.RETENTION)):
                path = os.path.join(PRIVATE_FOLDER, name)
                content = read_small_file(self.system, within(self.root, path))
                if isinstance(content, bytes):
                    folder.write(name, content)
                else:
                    folder.remove(name)
                if isinstance(content, Unreadable) and name == IDENTITY:
                    yield Finding(kind, None, None, path, content.reason, not content.is_damage)
        yield from prefix_findings(self.system, self.root)

    def _copy_model(self, name: str, target: Target) -> Iterator[Finding]:
        for _ in range(_MAX_ATTEMPTS):
            inspection = inspect_folder(self.system, self.root, name)
            if inspection.model is None:
                yield from inspection.findings
                return
            try:
                findings, is_gone = self._copy_inspected(inspection, target)
            finally:
                close_quietly(self.system, inspection.model.descriptor)
            if not is_gone:
                yield from findings
                return
            # It was deleted, and may have been created again.
            target.remove(name)

    def _copy_inspected(self, inspection: Inspection, target: Target) -> tuple[list[Finding], bool]:
        model = inspection.model
        assert model is not None, "the caller has checked it"
        with target.folder(model.folder.name) as folder:
            copy = ModelCopy(model, folder, self._copier, self._jobs)
            try:
                findings = list(copy.run(inspection.numbers))
            except OSError as error:
                if is_absent(error) and copy.is_gone():
                    return [], True
                raise self._unusable(error) from error
        if copy.is_gone():
            return [], True
        self.counts.models += 1
        self.counts.versions += len(copy.versions)
        self.counts.size_bytes += copy.size_bytes
        self.counts.new_bytes += copy.new_bytes
        return [*inspection.findings, *findings], False
