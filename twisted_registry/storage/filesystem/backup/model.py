"""
The copying of one model, while a daemon may change it.

The order makes the copy consistent.  Versions come first, then the journal of aliases, and any version that the journal
names and that is new: so each alias names a version of the copy.  The high-water mark is read last: it covers the
numbers of all versions that were deleted meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from attrs import define, field

from twisted_registry.storage.filesystem.backup.journal import Journal, read_journal
from twisted_registry.storage.filesystem.backup.target import TargetFolder
from twisted_registry.storage.filesystem.backup.version import CopiedVersion, VersionCopier
from twisted_registry.storage.filesystem.high_water_marks import MAX_HIGH_WATER_MARK_BYTES
from twisted_registry.storage.filesystem.idempotency import parse_key_file_name
from twisted_registry.storage.filesystem.jobs import OrderedJobs
from twisted_registry.storage.filesystem.layout import ALIASES, DELETED, HIGH_WATER_MARK, RETENTION
from twisted_registry.storage.filesystem.metadata import MAX_METADATA_BYTES
from twisted_registry.storage.filesystem.system import within
from twisted_registry.storage.filesystem.verify.findings import Finding
from twisted_registry.storage.filesystem.verify.version import PinnedModel, may_exist, read_small_file

_MAX_ATTEMPTS = 100
"""How often the journal is read, if aliases move and versions are deleted all the time."""


@define(eq=False)
class ModelCopy:
    """
    The copying of one model.

    Attributes:
        versions: the numbers of the versions that were copied.
        size_bytes: the size of their data in bytes.
        new_bytes: the size of the data that no earlier copy had, in bytes.
    """

    _model: PinnedModel
    _target: TargetFolder
    _copier: VersionCopier
    _jobs: OrderedJobs
    versions: set[int] = field(factory=set, init=False)
    size_bytes: int = field(default=0, init=False)
    new_bytes: int = field(default=0, init=False)

    def run(self, numbers: Iterable[int]) -> Iterator[Finding]:
        """
        Copy the model.

        Args:
            numbers: the numbers of its versions.

        Returns:
            the findings about its versions, as they are found.

        Raises:
            CannotCopy: the target cannot be written.
            StorageUnavailable: this process has reached a limit, such as that on open files.
        """
        self._copy_small(self._model.folder.yaml_name)
        yield from self._copy_versions(numbers)
        yield from self._copy_aliases()
        self._copy_keys()
        self._copy_small(RETENTION)
        self._copy_small(HIGH_WATER_MARK, MAX_HIGH_WATER_MARK_BYTES)
        self._target.remove_others()

    def is_gone(self) -> bool:
        """
        Return whether the model was deleted meanwhile.
        """
        folder = self._model.folder
        if self._model.is_gone():
            return True
        system = self._model.system
        return may_exist(system, within(folder.path, DELETED)) and not may_exist(system, folder.yaml)

    def _copy_small(self, name: str, most_bytes: int = MAX_METADATA_BYTES) -> None:
        # What cannot be read was reported when the folder was inspected.
        content = read_small_file(self._model.system, within(self._model.folder.path, name), most_bytes)
        if isinstance(content, bytes):
            self._target.write(name, content)

    def _copy_versions(self, numbers: Iterable[int]) -> Iterator[Finding]:
        jobs: Iterator[Callable[[], CopiedVersion]] = (
            partial(self._copier.copy, self._model, number, self._target) for number in numbers
        )
        for copied in self._jobs.results(jobs):
            yield from copied.findings
            if copied.exists:
                self.versions.add(copied.number)
                self.size_bytes += copied.size_bytes
                self.new_bytes += 0 if copied.is_kept else copied.size_bytes

    def _copy_aliases(self) -> Iterator[Finding]:
        journal: Journal | None = None
        for _ in range(_MAX_ATTEMPTS):
            before, journal = journal, read_journal(self._model)
            yield from self._copy_versions(sorted(journal.named - self.versions))
            # A version that is gone was deleted after its alias had moved on, so the journal has changed.
            if journal.named <= self.versions or journal == before:
                break
        if journal is not None and journal.content:
            self._target.write(ALIASES, journal.content)

    def _copy_keys(self) -> None:
        for name in self._model.system.listdir(self._model.folder.path):
            key = parse_key_file_name(name)
            if key is not None and key.version_number in self.versions:
                self._target.mark(name)
