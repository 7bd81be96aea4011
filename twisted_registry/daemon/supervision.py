"""
The supervision of the archive: checks, now and then, that it is still there and still this process's.
"""

from collections.abc import Callable
from functools import partial

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.errors import ArchiveTaken, RegistryError

_log = Logger(namespace="twisted_registry")

PATIENCE_SECONDS = 30.0
"""A check that takes longer counts as failed.  A sync on a disk that has much to write may well take some seconds."""


@define(eq=False)
class _Check:
    """
    One thing that is checked.

    Attributes:
        begun: when the check under way began; ``None`` where none is.
        problem: what the last one found; empty for nothing.
    """

    run: Callable[[], Deferred[None]]
    ticks: LoopingCall | None = None
    begun: float | None = None
    problem: str = ""


class Supervisor:
    """
    Checks an archive at intervals, and tells when it cannot be used and when it can again.  Of each check one is under
    way at most.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        archive: str,
        archive_status: ArchiveStatus,
        changed: Callable[[], None],
        taken: Callable[[ArchiveTaken], None],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """

        Args:
            archive: where the archive is, for the log.
            archive_status: is kept up to date.
            changed: called when the archive cannot be used any more, and when it can be again.
            taken: called when another process has taken it; nothing is checked any more.
        """
        self._reactor = reactor
        self._archive = archive
        self._archive_status = archive_status
        self._changed = changed
        self._taken = taken
        self._patience_seconds = patience_seconds
        self._checks: list[_Check] = []

    def start(self, run: Callable[[], Deferred[None]], interval_seconds: float) -> None:
        """
        Begin to make a check.

        Args:
            run: makes it; fires when all is well, or fails.
        """
        check = _Check(run)
        self._checks.append(check)
        check.ticks = LoopingCall(self._tick, check)
        check.ticks.clock = self._reactor
        check.ticks.start(interval_seconds, now=False)

    def stop(self) -> None:
        """
        Check no more.
        """
        checks, self._checks = self._checks, []
        for check in checks:
            if check.ticks is not None:
                check.ticks.stop()

    def _tick(self, check: _Check) -> None:
        now = self._reactor.seconds()
        if check.begun is None:
            check.begun = now
            check.run().addCallbacks(partial(self._well, check), partial(self._failed, check))
        elif now - check.begun >= self._patience_seconds:
            self._note(check, f"its file system has not answered for {now - check.begun:.0f} s")

    def _well(self, check: _Check, _: None) -> None:
        check.begun = None
        self._note(check, "")

    def _failed(self, check: _Check, failure: Failure) -> None:
        check.begun = None
        error = failure.value
        if isinstance(error, ArchiveTaken):
            self.stop()
            self._taken(error)
        elif isinstance(error, RegistryError):
            self._note(check, str(getattr(error, "reason", error)))
        else:
            _log.failure("a check of the archive failed", failure)
            self._note(check, "its check failed")

    def _note(self, check: _Check, problem: str) -> None:
        check.problem = problem
        if check not in self._checks:
            return
        before = self._archive_status.problem
        self._archive_status.problem = next((each.problem for each in self._checks if each.problem), "")
        if self._archive_status.problem and not before:
            _log.critical(
                "the archive {archive} cannot be used: {reason}; health checks say NOT_SERVING until it can be again",
                archive=self._archive,
                reason=self._archive_status.problem,
            )
        elif before and not self._archive_status.problem:
            _log.info("the archive {archive} can be used again", archive=self._archive)
        if bool(self._archive_status.problem) != bool(before):
            self._changed()
