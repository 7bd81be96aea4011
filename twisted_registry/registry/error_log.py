"""
What the log is told of an archive that does not do as it is told: each cause at once, and then now and then.
"""

import math
import time
from collections.abc import Callable
from threading import Lock
from typing import Literal

from attrs import define, evolve, field

from twisted_registry.domain.errors import (
    ArchiveMoved,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from twisted_registry.registry.log import log

Trouble = ArchiveMoved | StorageFull | StorageReadOnly | StorageFailure
TROUBLES = (ArchiveMoved, StorageFull, StorageReadOnly, StorageFailure)
"""The errors that say something of the archive's medium."""

Act = Literal["check", "create", "delete", "read", "reserve", "save"]
"""What was asked of the archive."""

TELL_AGAIN_SECONDS = 60.0
"""How long a cause is not told again; and how long it has to be quiet, before it is said to be over."""

MOST_CAUSES = 20
"""More are not remembered: a provider may word each failure in its own way."""


@define(eq=False)
class _Cause:
    """
    Why calls fail.

    Attributes:
        is_moved: the archive is not where it was opened.
        acts: what failed for it.
        told_seconds: when the log was told.
        met_seconds: when a call failed for it last.
        untold: how many calls have failed since the log was told.
    """

    reason: str
    is_moved: bool = False
    acts: set[Act] = field(factory=set)
    told_seconds: float = -math.inf
    met_seconds: float = -math.inf
    untold: int = 0


def _more(calls: int) -> str:
    return f" ({calls} more since this was told last)" if calls else ""


class Troubles:
    """
    Counts what fails, by its cause, and tells the log.  May be used in any thread.

    Where a disk is full, each client that tries again fails again: the log has a line a minute for that.
    """

    def __init__(self, archive: str, seconds: Callable[[], float] = time.monotonic) -> None:
        """

        Args:
            archive: where the archive is.
            seconds: gives the time, from whenever.
        """
        self._archive = archive
        self._seconds = seconds
        self._lock = Lock()
        # By the error's text, the one that was met last at the end.
        self._causes: dict[str, _Cause] = {}

    def failed(self, act: Act, error: Trouble) -> None:
        """
        Note that a call failed.
        """
        with self._lock:
            untold = self._count(act, error)
        if untold is not None:
            log.warn(
                "trouble with the archive {archive}: {error}{more}",
                archive=self._archive,
                error=error,
                more=_more(untold),
            )

    def _count(self, act: Act, error: Trouble) -> int | None:
        # Gives how many calls failed before this one, if the log is to be told now.
        now = self._seconds()
        cause = self._cause(error)
        cause.acts.add(act)
        cause.met_seconds = now
        if now - cause.told_seconds < TELL_AGAIN_SECONDS:
            cause.untold += 1
            return None
        untold, cause.untold, cause.told_seconds = cause.untold, 0, now
        return untold

    def _cause(self, error: Trouble) -> _Cause:
        # Where a disk is away each version is another subject, and the cause is one.
        text = str(evolve(error, subject="") if isinstance(error, StorageUnavailable) else error)
        cause = self._causes.pop(text, None) or _Cause(error.reason, isinstance(error, ArchiveMoved))
        self._causes[text] = cause
        if len(self._causes) > MOST_CAUSES:
            del self._causes[next(iter(self._causes))]
        return cause

    def succeeded(self, act: Act) -> None:
        """
        Note that a call went well.  Where none has failed, this costs nothing.
        """
        if not self._causes:
            return
        with self._lock:
            over = self._take_over(act)
        for cause in over:
            log.info(
                "the archive {archive} {again}, after: {reason}{more}",
                archive=self._archive,
                again="is back where it was opened" if cause.is_moved else "can be written again",
                reason=cause.reason,
                more=_more(cause.untold),
            )

    def _take_over(self, act: Act) -> list[_Cause]:
        # What is small may go well between large ones that fail: so only what was quiet for a while is over.  That the
        # archive is where it was opened is certain at once: each act but reading looks for it.
        last = self._seconds() - TELL_AGAIN_SECONDS
        over = {
            text: cause
            for text, cause in self._causes.items()
            if cause.is_moved or (act in cause.acts and cause.met_seconds <= last)
        }
        for text in over:
            del self._causes[text]
        return list(over.values())
