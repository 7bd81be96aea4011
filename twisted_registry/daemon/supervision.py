"""
Supervision of the archive: periodic checks that it is still there and still belongs to this process.
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
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.errors import ArchiveTaken, RegistryError
from twisted_registry.domain.events import StorageFailed

_log = Logger(namespace="twisted_registry")

TIMEOUT_SECONDS = 30.0
"""A check that takes longer counts as failed.  A sync on a busy disk may well take some seconds."""


@define(eq=False)
class _Check:
    """
    A check.

    Attributes:
        run: makes the check; fires with ``None``, or fails.
        ticks: calls it periodically.
        started: when the running check started; ``None`` if none is running.
        problem: the problem that the last run found; empty if there was none.
    """

    run: Callable[[], Deferred[None]]
    ticks: LoopingCall | None = None
    started: float | None = None
    problem: str = ""


class Supervisor:
    """
    Checks of an archive, periodic and after storage errors, which log when it becomes unusable and when it is usable
    again.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        archive: str,
        archive_status: ArchiveStatus,
        changed: Callable[[], None],
        taken: Callable[[ArchiveTaken], None],
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """

        Args:
            reactor: the reactor.
            archive: the location of the archive, for the log.
            archive_status: updated by the checks.
            changed: called when the archive becomes unusable, and when it is usable again.
            taken: called when another process has taken the archive; then all checks stop.
            timeout_seconds: how long a check may take.
        """
        self._reactor = reactor
        self._archive = archive
        self._archive_status = archive_status
        self._changed = changed
        self._taken = taken
        self._timeout_seconds = timeout_seconds
        self._checks: list[_Check] = []

    def start(self, run: Callable[[], Deferred[None]], interval_seconds: float) -> None:
        """
        Start a periodic check.  A run is skipped while the one before it is still running.

        Args:
            run: makes the check; fires with ``None``, or fails.
            interval_seconds: the time between runs.
        """
        check = _Check(run)
        self._checks.append(check)
        check.ticks = LoopingCall(self._tick, check)
        check.ticks.clock = self._reactor
        check.ticks.start(interval_seconds, now=False)

    def follow(self, registry: IRegistry) -> None:
        """
        Also check when the storage failed an upload or a change, unless a problem is known already: otherwise health
        checks would return SERVING until the next periodic check.
        """
        registry.subscribe(self._check_now, StorageFailed)

    def _check_now(self, event: StorageFailed) -> None:
        if not self._archive_status.problem:
            for check in list(self._checks):
                self._tick(check)

    def stop(self) -> None:
        """
        Stop all checks.
        """
        checks, self._checks = self._checks, []
        for check in checks:
            if check.ticks is not None:
                check.ticks.stop()

    def _tick(self, check: _Check) -> None:
        now = self._reactor.seconds()
        if check.started is None:
            check.started = now
            check.run().addCallbacks(partial(self._succeed, check), partial(self._fail, check))
        elif now - check.started >= self._timeout_seconds:
            self._record(check, f"its file system has not answered for {now - check.started:.0f} s")

    def _succeed(self, check: _Check, _: None) -> None:
        check.started = None
        self._record(check, "")

    def _fail(self, check: _Check, failure: Failure) -> None:
        check.started = None
        error = failure.value
        if isinstance(error, ArchiveTaken):
            self.stop()
            self._taken(error)
        elif isinstance(error, RegistryError):
            self._record(check, str(getattr(error, "reason", error)))
        else:
            _log.failure("a check of the archive failed", failure)
            self._record(check, "its check failed")

    def _record(self, check: _Check, problem: str) -> None:
        check.problem = problem
        if check not in self._checks:
            return
        before = self._archive_status.problem
        self._archive_status.problem = next((each.problem for each in self._checks if each.problem), "")
        if self._archive_status.problem and not before:
            _log.critical(
                "the archive {archive} cannot be used: {reason}; health checks return NOT_SERVING until it can be "
                "used; check the disk and its mount",
                archive=self._archive,
                reason=self._archive_status.problem,
            )
        elif before and not self._archive_status.problem:
            _log.info("the archive {archive} can be used again", archive=self._archive)
        if bool(self._archive_status.problem) != bool(before):
            self._changed()
