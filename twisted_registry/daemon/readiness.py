"""
The readiness of the archive for writes: it is probed, and the space on its disk is read.
"""

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.observation import IDiskReporter
from twisted_registry.contracts.ownership import ArchiveStatus, IProbedArchive
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.daemon.disk_space import DiskSpace
from twisted_registry.domain.errors import (
    ArchiveMoved,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from twisted_registry.domain.events import ModelSaved, StorageFailed, VersionArchived, VersionCommitted

_log = Logger(namespace="twisted_registry")

INTERVAL_SECONDS = 15.0
"""The time between two probes."""

RECOVERY_SECONDS = 5.0
"""The time between two probes while writes are not possible."""

TIMEOUT_SECONDS = 30.0
"""A probe that takes longer counts as failed."""

PAUSE_SECONDS = 1.0
"""The least time between two probes, however many writes fail."""

FAILED_SECONDS = 60.0
"""How long a failed write counts, if the archive cannot be probed and no other write succeeds."""

_WRITE_ERRORS = (ArchiveMoved, StorageFull, StorageReadOnly, StorageFailure)


@frozen
class Finding:
    """
    The finding of a probe.

    Attributes:
        reason: why a write failed; empty if it did not.
        space: how many bytes can be written, and the size of the disk; ``None`` if it is not known.
    """

    reason: str = ""
    space: tuple[int, int] | None = None


def examine(archive: IArchive) -> Finding:
    """
    Probe an archive, and read the space on its disk.  May block.
    """
    reason, space = "", None
    try:
        if IProbedArchive.providedBy(archive):
            IProbedArchive(archive).probe()
    except _WRITE_ERRORS as error:
        reason = error.reason
    try:
        if IDiskReporter.providedBy(archive):
            space = IDiskReporter(archive).disk_bytes()
    except StorageFailure:
        pass  # the probe says what is wrong
    return Finding(reason, space)


class WriteReadiness:
    """
    The state of writes, in ``ArchiveStatus.write_problem``: the archive is examined periodically, and when a write has
    failed.

    An archive that cannot be probed counts as not writable from a failed write until another one succeeds, or until
    none has failed for a minute.
    """

    def __init__(
        self,
        clock: IReactorTime,
        archive: IArchive,
        status: ArchiveStatus,
        changed: Callable[[], None],
        run: Callable[[Callable[[], Finding]], "Deferred[Finding]"],
        min_free_bytes: int | None = None,
    ) -> None:
        """

        Args:
            clock: the reactor.
            archive: the archive, which may provide ``IProbedArchive`` and ``IDiskReporter``.
            status: updated by this.
            changed: called when writes are no longer possible, and when they are again.
            run: calls a function in another thread.
            min_free_bytes: see ``DiskSpace``.
        """
        self._clock = clock
        self._archive = archive
        self._status = status
        self._changed = changed
        self._run = run
        self._space = DiskSpace(archive.description, min_free_bytes, clock.seconds)
        self._is_probed = IProbedArchive.providedBy(archive)
        self._is_stopped = False
        self._next: IDelayedCall | None = None
        self._timeout: IDelayedCall | None = None
        self._forgetting: IDelayedCall | None = None
        self._running: Deferred[Finding] | None = None
        self._is_wanted_again = False
        self._ended_seconds = 0.0
        self._write_problem = ""
        self._space_problem = ""

    def start(self, registry: IRegistry) -> None:
        """
        Examine the archive now, then periodically, and when the registry reports that a write failed.
        """
        registry.subscribe(self._failed, StorageFailed)
        if not self._is_probed:
            registry.subscribe(self._succeeded, VersionCommitted, VersionArchived, ModelSaved)
        if self._is_probed or IDiskReporter.providedBy(self._archive):
            self._examine()

    def stop(self) -> "Deferred[None]":
        """
        Examine the archive no more.

        Returns:
            fires with ``None`` when no probe runs any more.
        """
        self._is_stopped = True
        for call in (self._next, self._timeout, self._forgetting):
            if call is not None:
                call.cancel()
        self._next = self._timeout = self._forgetting = None
        if self._running is None:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._running.addBoth(lambda _: stopped.callback(None))
        return stopped

    # Examinations

    def _examine(self) -> None:
        self._is_wanted_again = False
        if self._status.problem:  # nothing is to be written to an archive that has moved or is taken
            self._next = self._clock.callLater(INTERVAL_SECONDS, self._examine)
            return
        self._next = None
        self._timeout = self._clock.callLater(TIMEOUT_SECONDS, self._hang)
        self._running = running = self._run(lambda: examine(self._archive))
        running.addCallbacks(self._found, self._broken).addBoth(self._ended)

    def _found(self, finding: Finding) -> None:
        if self._is_probed:
            self._write_problem = _problem(finding.reason)
        if finding.space is not None:
            self._space_problem = self._space.problem(*finding.space)

    def _broken(self, failure: Failure) -> None:
        _log.failure("the archive could not be probed", failure)
        self._write_problem = _problem("its probe failed")

    def _ended(self, _: Any) -> None:
        self._running = None
        self._ended_seconds = self._clock.seconds()
        if self._is_stopped:
            return
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._record()
        seconds = RECOVERY_SECONDS if self._status.write_problem else INTERVAL_SECONDS
        self._next = self._clock.callLater(PAUSE_SECONDS if self._is_wanted_again else seconds, self._examine)

    def _hang(self) -> None:
        self._timeout = None
        self._write_problem = _problem(f"its file system has not answered for {TIMEOUT_SECONDS:g} s")
        self._record()

    # Writes

    def _failed(self, event: StorageFailed) -> None:
        if self._is_stopped or isinstance(event.error, StorageUnavailable):
            return
        if self._is_probed:
            self._hurry()
            return
        self._write_problem = _problem(event.error.reason)
        if self._forgetting is None:
            self._forgetting = self._clock.callLater(FAILED_SECONDS, self._forget)
        else:
            self._forgetting.reset(FAILED_SECONDS)
        self._record()

    def _hurry(self) -> None:
        if self._next is None:
            self._is_wanted_again = True  # the running probe may have begun before the write failed
        elif not self._status.write_problem:
            due_seconds = max(0.0, self._ended_seconds + PAUSE_SECONDS - self._clock.seconds())
            if self._next.getTime() > self._clock.seconds() + due_seconds:
                self._next.reset(due_seconds)

    def _succeeded(self, event: VersionCommitted | VersionArchived | ModelSaved) -> None:
        if self._forgetting is None or (isinstance(event, VersionCommitted) and not event.info.archived):
            return
        self._forgetting.cancel()
        self._forget()

    def _forget(self) -> None:
        self._forgetting = None
        self._write_problem = ""
        self._record()

    def _record(self) -> None:
        before, problem = self._status.write_problem, self._write_problem or self._space_problem
        self._status.write_problem = problem
        if problem and not before:
            _log.error(
                "versions cannot be stored in {archive}: {problem}; health checks of writes return NOT_SERVING until "
                "they can; reading goes on; make space, or repair the disk",
                archive=self._archive.description,
                problem=problem,
            )
        elif before and not problem:
            _log.info("versions can be stored again in {archive}", archive=self._archive.description)
        if bool(problem) != bool(before):
            self._changed()


def _problem(reason: str) -> str:
    return f"the archive cannot be written: {reason}" if reason else ""
