"""
The log of an archive's storage errors, at most one line a minute for each cause.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Literal

from attrs import define, field
from twisted.logger import Logger

from twisted_registry.contracts.observation import IArchiveObserver
from twisted_registry.domain.errors import (
    ArchiveMoved,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from twisted_registry.domain.translation import ErrorTranslation
from twisted_registry.repeated_lines import REPEAT_SECONDS, RepeatedLines, more

StorageError = ArchiveMoved | StorageFull | StorageReadOnly | StorageFailure
STORAGE_ERRORS = (ArchiveMoved, StorageFull, StorageReadOnly, StorageFailure)
"""The errors that are about the archive's medium, not about the request."""

_KINDS = {
    ArchiveMoved: "moved",
    StorageFull: "full",
    StorageReadOnly: "read_only",
    StorageUnavailable: "unavailable",
}
"""The names of kinds of errors to observers."""

Operation = Literal["check", "create", "delete", "remove", "set_high_water_mark", "read", "save"]

MAX_CAUSES = 20
"""A provider may word each failure differently: only this many causes are remembered."""

_log = Logger(namespace="twisted_registry.storage")


@define(eq=False)
class _Cause:
    """
    One reason for which calls fail.

    Attributes:
        reason: the error's reason.
        is_moved: whether the archive is no longer where it was opened.
        operations: the operations that failed.
        failed_seconds: when a call last failed.
    """

    reason: str
    is_moved: bool = False
    operations: set[Operation] = field(factory=set)
    failed_seconds: float = -math.inf


def _kind_of(error: StorageError) -> str:
    return next((kind for each, kind in _KINDS.items() if isinstance(error, each)), "failure")


class StorageErrorLog:
    """
    A log of the calls that fail, limited for each cause.  May be used in any thread.

    When a disk is full, every client that retries fails again: without a limit the log would fill, too.

    Attributes:
        reading: the context manager of a read.  It logs a failure, and reports it as ``StorageUnavailable``: reading
            changes nothing, so that the caller can always retry.  A read that succeeds ends no cause: that one version
            can be read says nothing about another.
    """

    def __init__(
        self,
        archive: str,
        seconds: Callable[[], float] = time.monotonic,
        observer: IArchiveObserver | None = None,
    ) -> None:
        """

        Args:
            archive: the archive's description, for the log.
            seconds: returns the time in seconds from any fixed point.
            observer: what failures are reported to, each of them; ``None`` for nothing.
        """
        self._archive = archive
        self._observer = observer
        self._seconds = seconds
        self._lock = Lock()
        self._lines = RepeatedLines(seconds, causes_max=MAX_CAUSES)
        # The key is the error's reason, which does not name the version that could not be read.  The latest is last.
        self._causes: dict[str, _Cause] = {}
        self.reading = ErrorTranslation(StorageFailure, self._read_failed)

    def _read_failed(self, error: StorageFailure) -> StorageUnavailable:
        unavailable = error if isinstance(error, StorageUnavailable) else StorageUnavailable(error.reason)
        self.failed("read", unavailable)
        return unavailable

    @contextmanager
    def changing(self, operation: Operation) -> Iterator[None]:
        """
        Log the failure or the success of an operation that changes or checks the archive.
        """
        try:
            yield
        except STORAGE_ERRORS as error:
            self.failed(operation, error)
            raise
        self.succeeded(operation)

    def failed(self, operation: Operation, error: StorageError) -> None:
        """
        Record that a call failed, and log it unless its cause was logged within the last minute.
        """
        if self._observer is not None:
            self._observer.failed(operation, _kind_of(error))
        with self._lock:
            cause = self._cause(error)
            cause.operations.add(operation)
            cause.failed_seconds = self._seconds()

        def write(times: int) -> None:
            _log.warn(
                "storage error in the archive {archive}: {error}{more}",
                archive=self._archive,
                error=error,
                more=more(times),
            )

        self._lines.happened(error.reason, write)

    def _cause(self, error: StorageError) -> _Cause:
        cause = self._causes.pop(error.reason, None) or _Cause(error.reason, isinstance(error, ArchiveMoved))
        self._causes[error.reason] = cause
        if len(self._causes) > MAX_CAUSES:
            del self._causes[next(iter(self._causes))]
        return cause

    def succeeded(self, operation: Operation) -> None:
        """
        Record that a call succeeded, and log each cause that is over.  Free as long as nothing has failed.
        """
        if not self._causes:
            return
        with self._lock:
            over = self._remove_over(operation)
        for cause in over:
            unlogged = self._lines.ended(cause.reason) or 0
            _log.info(
                "the archive {archive} {again}; the cause was: {reason}{more}",
                archive=self._archive,
                again="is back where it was opened" if cause.is_moved else "can be written again",
                reason=cause.reason,
                more=more(unlogged + 1),
            )

    def _remove_over(self, operation: Operation) -> list[_Cause]:
        # Small writes may succeed between large ones that fail, so a cause is over only after a minute without a
        # failure.  A moved archive is certainly back: every operation except reading checks where the archive is.
        last = self._seconds() - REPEAT_SECONDS
        over = {
            reason: cause
            for reason, cause in self._causes.items()
            if cause.is_moved or (operation in cause.operations and cause.failed_seconds <= last)
        }
        for reason in over:
            del self._causes[reason]
        return list(over.values())
