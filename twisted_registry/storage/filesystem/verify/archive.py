"""
Verifying an archive: every name, every .yaml, every byte, whether or not a daemon is at work on it.

Nothing is locked and nothing is written.  What is found comes in the order of the names; the work is done by a few
threads, each of which reads and hashes a file of its own: hashlib lets go of the interpreter's lock, the system reads
on meanwhile, and of many small files several are waited for at once.

The threads are of the standard library's own pool, and not of those that ``execution.py`` keeps for the daemon: no
reactor runs here, the pool lives no longer than the verification, and the daemon never imports this module.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event, Lock
from types import TracebackType
from typing import TypeVar

from attrs import define, field, frozen

from twisted_registry.storage.filesystem.failures import Malformed, is_absent, reason_of
from twisted_registry.storage.filesystem.identity import parse_identity
from twisted_registry.storage.filesystem.layout import (
    CLAIM,
    IDENTITY,
    PRIVATE_FOLDER,
    QUARANTINE,
    is_hashed_name,
    model_id_of_any_form,
)
from twisted_registry.storage.filesystem.model_folders import leads_to_model
from twisted_registry.storage.filesystem.pinned_directory import PinnedDirectory, is_link, open_folder, read_metadata
from twisted_registry.storage.filesystem.system import Folder, System, close_quietly, within
from twisted_registry.storage.filesystem.verify.findings import CannotVerify, Finding, Kind
from twisted_registry.storage.filesystem.verify.model import Look, look_into
from twisted_registry.storage.filesystem.verify.version import VersionCheck, Watched

_T = TypeVar("_T")
_GLANCE_SECONDS = 0.2
_LEFT_OVERS = ("tmp", "trash")


def default_jobs() -> int:
    """
    Say how many files are worked on at once, if nobody says it: enough to keep the processors and a disk busy.
    """
    return min(16, 2 * len(os.sched_getaffinity(0)))


@define
class Counts:
    """
    What was verified so far.

    Attributes:
        size_bytes: how many bytes of data were read.
    """

    models: int = 0
    versions: int = 0
    size_bytes: int = 0


@frozen
class _Checked:
    """
    What a step came to.

    Attributes:
        finished: the model with which no later step has to do.
    """

    findings: list[Finding] = field(factory=list)
    models: int = 0
    versions: int = 0
    finished: Watched | None = None


class Scrub:
    """
    One verification of an archive, to be used as a context manager: what threads and descriptors it has end with it.

    Attributes:
        counts: what was verified of what has been told.
    """

    def __init__(
        self,
        root: str,
        *,
        jobs: int | None = None,
        system: System | None = None,
        read: Callable[[int], None] = lambda size_bytes: None,
    ) -> None:
        """

        Args:
            jobs: how many files to work on at once.
            read: is told how many bytes of data more were read, in any thread.
        """
        self.counts = Counts()
        self._root = os.path.abspath(root)
        self._system = system or System()
        self._held_root = PinnedDirectory(self._root, self._system)
        self._read = read
        self._ahead = 4 * (jobs or default_jobs())
        self._pool = ThreadPoolExecutor(jobs or default_jobs(), "scrub")
        self._stopped = Event()
        self._counting = Lock()
        self._held: set[int] = set()
        self._check = VersionCheck(self._system, self._note_read, self._stopped.is_set)

    def __enter__(self) -> "Scrub":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
        while self._held:
            close_quietly(self._system, self._held.pop())
        self._held_root.close()

    # How much there is.

    def measure(self) -> int:
        """
        Tell how many bytes of data there are, by a quick look.

        Raises:
            CannotVerify: there is no archive.
        """
        folders, _ = self._entries()
        return sum(self._in_order(partial(self._size_of, name) for name in folders))

    def _size_of(self, name: str) -> int:
        # What cannot be told here is told of when it is its turn.
        try:
            with self._held_root.open_folder(name) as folder:
                data = [within(folder, file) for file in self._system.listdir(folder) if file.endswith(".data")]
                return sum(self._system.lstat(path).st_size for path in data)
        except OSError:
            return 0

    # What there is.

    def findings(self) -> Iterator[Finding]:
        """
        Verify the archive.

        Returns:
            what is found, as it is found.

        Raises:
            CannotVerify: there is no archive.
            StorageFailure: this process lacks something; what was found so far holds.
        """
        folders, notes = self._entries()
        yield from notes
        yield from self._private()
        for checked in self._in_order(self._steps(folders)):
            self.counts.models += checked.models
            self.counts.versions += checked.versions
            if checked.finished is not None:
                self._let_go(checked.finished)
            yield from checked.findings
        self._check_archive()

    def _check_archive(self) -> None:
        # A directory that is another than was meant, or a disk that is not mounted, must not pass for a sound archive.
        if not self.counts.models and PRIVATE_FOLDER not in self._names("."):
            raise CannotVerify(f"{self._root!r} is no archive: it holds neither a model nor the folder .0")

    def _entries(self) -> tuple[list[str], list[Finding]]:
        try:
            entries = sorted(self._system.scandir(self._opened()))
        except OSError as error:
            raise CannotVerify(f"the archive's directory {self._root!r} cannot be read: {reason_of(error)}") from error
        folders, notes = [], []
        for entry in entries:
            if entry.name == PRIVATE_FOLDER:
                continue
            lexists = model_id_of_any_form(entry.name) is not None or is_hashed_name(entry.name)
            if lexists and (entry.is_folder or (entry.is_link and leads_to_model(self._system, self._opened(), entry))):
                folders.append(entry.name)
            else:
                notes.append(Finding(Kind.FOREIGN, None, None, entry.name, "it is no part of an archive"))
        return folders, notes

    def _opened(self) -> Folder:
        if not self._held_root.is_open:
            self._held_root.open(locked=False)
        return self._held_root.folder

    def _private(self) -> Iterator[Finding]:
        for name in self._names(PRIVATE_FOLDER):
            path = os.path.join(PRIVATE_FOLDER, name)
            if name in (*_LEFT_OVERS, QUARANTINE) and is_link(self._system, within(self._opened(), path)):
                reason = "it is a link; a start refuses an archive with such a private folder"
                yield Finding(Kind.FOLDER, None, None, path, reason)
            elif name in _LEFT_OVERS:
                for left in self._names(path):
                    reason = "being written or removed, or what a crash left; the next start sweeps it"
                    yield Finding(Kind.LEFT_OVER, None, None, os.path.join(path, left), reason)
            elif name == IDENTITY:
                yield from self._identity(path)
            elif name not in (CLAIM, QUARANTINE):
                yield Finding(Kind.FOREIGN, None, None, path, "it is no part of an archive")

    def _identity(self, path: str) -> Iterator[Finding]:
        try:
            parse_identity(read_metadata(self._system, within(self._opened(), path)))
        except Malformed as error:
            reason = f"the archive's id cannot be told: {error.reason}; restore the file, or remove it for a new id"
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

    # Step by step.

    def _steps(self, folders: list[str]) -> Iterator[Callable[[], _Checked]]:
        for look in self._in_order(partial(self._look, name) for name in folders):
            yield partial(_Checked, look.findings, models=look.model is not None)
            if look.model is not None:
                for number in look.numbers:
                    yield partial(self._version, look.model, number)
                yield partial(_Checked, finished=look.model)

    def _look(self, name: str) -> Look:
        look = look_into(self._system, self._held_root.folder, name)
        if look.model is not None:
            self._held.add(look.model.descriptor)
        return look

    def _version(self, model: Watched, number: int) -> _Checked:
        findings = self._check.findings(model, number)
        return _Checked() if findings is None else _Checked(findings, versions=1)

    def _in_order(self, steps: Iterator[Callable[[], _T]]) -> Iterator[_T]:
        waiting: deque[Future[_T]] = deque()
        for step in steps:
            waiting.append(self._pool.submit(step))
            if len(waiting) > self._ahead:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())

    def _let_go(self, model: Watched) -> None:
        self._held.discard(model.descriptor)
        close_quietly(self._system, model.descriptor)

    def _note_read(self, size_bytes: int) -> None:
        with self._counting:
            self.counts.size_bytes += size_bytes
        self._read(size_bytes)


def _result(future: Future[_T]) -> _T:
    # A lock of the system's: those of Python's own making, which a future waits on, raise another error where Ctrl-C
    # comes at a bad moment.
    ended = Lock()
    ended.acquire()
    future.add_done_callback(lambda _: ended.release())
    # The system may hand Ctrl-C to any thread, and then nothing wakes this one to see it: so it looks up now and then.
    while not ended.acquire(timeout=_GLANCE_SECONDS):
        pass
    return future.result()
