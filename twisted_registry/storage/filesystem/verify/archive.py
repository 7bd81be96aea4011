"""
The verification of an archive: every name, every .yaml and every byte, whether or not a daemon is using it.

Nothing is locked and nothing is written.  Findings come in the order of the names.  Several threads each read and hash
one file: hashlib releases the interpreter's lock, the system reads ahead, and small files are waited for in parallel.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock
from types import TracebackType

from attrs import define, field, frozen

from twisted_registry.storage.filesystem.failures import Malformed, is_absent, reason_of
from twisted_registry.storage.filesystem.identity import parse_identity
from twisted_registry.storage.filesystem.jobs import OrderedJobs
from twisted_registry.storage.filesystem.layout import (
    BACKUP,
    CLAIM,
    IDENTITY,
    PRIVATE_FOLDER,
    QUARANTINE,
    RETENTION_PREFIXES,
    UPLOADS,
    is_hashed_name,
    model_id_of_any_form,
)
from twisted_registry.storage.filesystem.model_folders import leads_to_model
from twisted_registry.storage.filesystem.pinned_directory import PinnedDirectory, is_link, open_folder, read_metadata
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, within
from twisted_registry.storage.filesystem.verify.findings import CannotVerify, Finding, Kind
from twisted_registry.storage.filesystem.verify.lifecycle import prefix_findings
from twisted_registry.storage.filesystem.verify.model import Inspection, inspect_folder
from twisted_registry.storage.filesystem.verify.version import PinnedModel, VersionCheck

_LEFT_OVERS = ("tmp", "trash")
_LEFT_OVER = "being written or removed, or left by a crash; the next start removes it"
_UPLOAD = "it describes an unfinished upload, which its creator may go on with for a while"


def default_jobs() -> int:
    """
    Return how many files to check at once by default: enough to keep the processors and a disk busy.
    """
    return min(16, 2 * len(os.sched_getaffinity(0)))


@define
class Counts:
    """
    The amount of data verified so far.

    Attributes:
        models: the number of models.
        versions: the number of versions.
        size_bytes: how many bytes of data were read.
    """

    models: int = 0
    versions: int = 0
    size_bytes: int = 0


@frozen
class _StepResult:
    """
    The result of a step.

    Attributes:
        findings: what was found.
        models: how many models the step completed.
        versions: how many versions the step completed.
        finished: a model that no later step needs.
    """

    findings: list[Finding] = field(factory=list)
    models: int = 0
    versions: int = 0
    finished: PinnedModel | None = None


class Scrub:
    """
    One verification of an archive: a context manager, which ends its threads and closes its descriptors.

    Attributes:
        counts: the amount of data verified by the steps whose findings were returned.
    """

    def __init__(
        self,
        root: str,
        *,
        jobs: int | None = None,
        system: System | None = None,
        on_read: Callable[[int], None] = lambda size_bytes: None,
    ) -> None:
        """

        Args:
            root: the archive's directory.
            jobs: how many files to check at once; ``None`` for ``default_jobs``.
            system: the system's calls; ``None`` for the real ones.
            on_read: called with the number of bytes of data just read, in any thread.
        """
        self.counts = Counts()
        self._root = os.path.abspath(root)
        self._system = system or System()
        self._held_root = PinnedDirectory(self._root, self._system)
        self._on_read = on_read
        self._jobs = OrderedJobs(jobs or default_jobs(), "scrub")
        self._counting = Lock()
        self._held: set[int] = set()
        self._check = VersionCheck(self._system, self._count_read, self._jobs.is_stopped)

    def __enter__(self) -> "Scrub":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._jobs.stop()
        while self._held:
            close_quietly(self._system, self._held.pop())
        self._held_root.close()

    def measure(self) -> int:
        """
        Return how many bytes of data there are, without reading them.

        Raises:
            CannotVerify: there is no archive.
        """
        folders, _ = self._entries()
        return sum(self._jobs.results(partial(self._size_of, name) for name in folders))

    def _size_of(self, name: str) -> int:
        # What cannot be read here is reported later, when it is verified.
        try:
            with self._held_root.open_folder(name) as folder:
                data = [within(folder, file) for file in self._system.listdir(folder) if file.endswith(".data")]
                return sum(self._system.lstat(path).st_size for path in data)
        except OSError:
            return 0

    def findings(self) -> Iterator[Finding]:
        """
        Verify the archive.

        Returns:
            The findings, as they are found.

        Raises:
            CannotVerify: there is no archive.
            StorageFailure: this process has reached a limit, such as that on open files; the findings so far are valid.
        """
        folders, notes = self._entries()
        yield from notes
        yield from self._private()
        for checked in self._jobs.results(self._steps(folders)):
            self.counts.models += checked.models
            self.counts.versions += checked.versions
            if checked.finished is not None:
                self._release(checked.finished)
            yield from checked.findings
        self._check_archive()

    def _check_archive(self) -> None:
        # A wrong directory, or a disk that is not mounted, must not be reported as an intact archive.
        if not self.counts.models and PRIVATE_FOLDER not in self._names("."):
            raise CannotVerify(f"{self._root!r} is not an archive: it contains neither a model nor the directory .0")

    def _entries(self) -> tuple[list[str], list[Finding]]:
        try:
            entries = sorted(self._system.scandir(self._opened()))
        except OSError as error:
            raise CannotVerify(f"the archive's directory {self._root!r} cannot be read: {reason_of(error)}") from error
        folders, notes = [], []
        for entry in entries:
            if entry.name == PRIVATE_FOLDER:
                continue
            could_be_model = model_id_of_any_form(entry.name) is not None or is_hashed_name(entry.name)
            if could_be_model and (
                entry.is_folder or (entry.is_link and leads_to_model(self._system, self._opened(), entry))
            ):
                folders.append(entry.name)
            else:
                notes.append(Finding(Kind.FOREIGN, None, None, entry.name, "it is not part of an archive"))
        return folders, notes

    def _opened(self) -> Folder:
        if not self._held_root.is_open:
            self._held_root.open(locked=False)
        return self._held_root.folder

    def _private(self) -> Iterator[Finding]:
        for name in self._names(PRIVATE_FOLDER):
            path = os.path.join(PRIVATE_FOLDER, name)
            if name in (*_LEFT_OVERS, QUARANTINE, UPLOADS) and is_link(self._system, within(self._opened(), path)):
                reason = "it is a link; the daemon does not start on an archive with such a private directory"
                yield Finding(Kind.FOLDER, None, None, path, reason)
            elif name in _LEFT_OVERS or name == UPLOADS:
                for rest in self._names(path):
                    reason = _UPLOAD if name == UPLOADS else _LEFT_OVER
                    yield Finding(Kind.LEFT_OVER, None, None, os.path.join(path, rest), reason)
            elif name == IDENTITY:
                yield from self._identity(path)
            elif name == RETENTION_PREFIXES:
                yield from prefix_findings(self._system, self._opened())
            elif name not in (BACKUP, CLAIM, QUARANTINE):
                yield Finding(Kind.FOREIGN, None, None, path, "it is not part of an archive")

    def _identity(self, path: str) -> Iterator[Finding]:
        try:
            parse_identity(read_metadata(self._system, within(self._opened(), path)))
        except Malformed as error:
            reason = f"the archive's id cannot be read: {error.reason}; restore the file, or remove it for a new id"
            yield Finding(Kind.IDENTITY, None, None, path, reason)
        except OSError as error:
            raise CannotVerify(f"{path!r} in {self._root!r} cannot be read: {reason_of(error)}") from error

    def _names(self, path: str) -> list[str]:
        try:
            with open_folder(self._system, within(self._opened(), path)) as folder:
                return sorted(self._system.listdir(folder))
        except OSError as error:
            if is_absent(error):
                return []
            raise CannotVerify(f"{path!r} in {self._root!r} cannot be read: {reason_of(error)}") from error

    def _steps(self, folders: list[str]) -> Iterator[Callable[[], _StepResult]]:
        for inspection in self._jobs.results(partial(self._inspect, name) for name in folders):
            yield partial(_StepResult, inspection.findings, models=inspection.model is not None)
            if inspection.model is not None:
                for number in inspection.numbers:
                    yield partial(self._version, inspection.model, number)
                yield partial(_StepResult, finished=inspection.model)

    def _inspect(self, name: str) -> Inspection:
        inspection = inspect_folder(self._system, self._held_root.folder, name)
        if inspection.model is not None:
            self._held.add(inspection.model.descriptor)
        return inspection

    def _version(self, model: PinnedModel, number: int) -> _StepResult:
        findings = self._check.findings(model, number)
        return _StepResult() if findings is None else _StepResult(findings, versions=1)

    def _release(self, model: PinnedModel) -> None:
        self._held.discard(model.descriptor)
        close_quietly(self._system, model.descriptor)

    def _count_read(self, size_bytes: int) -> None:
        with self._counting:
            self.counts.size_bytes += size_bytes
        self._on_read(size_bytes)
