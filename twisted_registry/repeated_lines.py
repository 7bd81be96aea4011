"""
Lines about a problem that repeats: one at once, then at most one a minute for each cause, with how often it happened.

A problem can repeat thousands of times a second, such as when a disk is full and all clients retry.  Without a limit,
the log would fill the disk too, and nobody would find anything in it.
"""

import math
import time
from collections.abc import Callable, Hashable
from threading import Lock

from attrs import define

REPEAT_SECONDS = 60.0
"""The least time between two lines about one cause."""

_EARLY_SECONDS = 0.1
"""Timers may be early."""

CAUSES_MAX = 100
"""A text of another program may be different each time: only this many causes are remembered."""

Write = Callable[[int], object]
"""A function that writes a line.  It takes how often the problem happened since the last line, this time included."""

CallLater = Callable[[float, Callable[[], None]], object]
"""A function that calls another one after some seconds."""


@define(eq=False)
class _Cause:
    """
    One cause.

    Attributes:
        times: how often it happened since the last line.
        next_seconds: when the next line may be written.
        write: writes it.
    """

    times: int = 0
    next_seconds: float = -math.inf
    write: Write | None = None


class RepeatedLines:
    """
    The lines about problems of one kind.  May be used in any thread.
    """

    def __init__(
        self,
        now_seconds: Callable[[], float] = time.monotonic,
        call_later: CallLater | None = None,
        causes_max: int = CAUSES_MAX,
    ) -> None:
        """

        Args:
            now_seconds: returns the time in seconds from any fixed point.
            call_later: calls a function after some seconds, in the thread in which problems happen: then the last ones
                are counted in a line even if no others follow.  ``None`` to count them in the next line only.
            causes_max: how many causes are remembered.
        """
        self._now_seconds = now_seconds
        self._call_later = call_later
        self._causes_max = causes_max
        self._causes: dict[Hashable, _Cause] = {}
        self._lock = Lock()

    def happened(self, cause: Hashable, write: Write, times: int = 1) -> None:
        """
        Record that a problem happened, and write a line unless there was one within the last minute.

        Args:
            cause: identifies the cause.
            write: writes the line, now or at the end of the minute.
            times: how often it happened.
        """
        with self._lock:
            now = self._now_seconds()
            found = self._cause(cause)
            is_first = not found.times
            found.times += times
            found.write = write
            wait_seconds = found.next_seconds - now
            if wait_seconds <= 0:
                counted, found.times, found.next_seconds = found.times, 0, now + REPEAT_SECONDS
        if wait_seconds <= 0:
            write(counted)
        elif is_first and self._call_later is not None:
            self._call_later(wait_seconds, lambda: self._write_rest(cause))

    def ended(self, cause: Hashable) -> int | None:
        """
        Record that a problem is over.  Costs nothing as long as nothing has happened.

        Returns:
            how often it happened since the last line; ``None`` if there was no line about it.
        """
        if not self._causes:
            return None
        with self._lock:
            found = self._causes.pop(cause, None)
        return None if found is None else found.times

    def _cause(self, cause: Hashable) -> _Cause:
        found = self._causes.pop(cause, None) or _Cause()
        self._causes[cause] = found  # the latest is last
        if len(self._causes) > self._causes_max:
            del self._causes[next(iter(self._causes))]
        return found

    def _write_rest(self, cause: Hashable) -> None:
        with self._lock:
            found, now = self._causes.get(cause), self._now_seconds()
            if found is None or not found.times or found.write is None or now < found.next_seconds - _EARLY_SECONDS:
                return  # it is over, or there was another line meanwhile
            counted, found.times, found.next_seconds = found.times, 0, now + REPEAT_SECONDS
        found.write(counted)


def more(times: int) -> str:
    """
    Return the part of a line that says how often a problem happened since the last one; empty if it was once.

    Args:
        times: how often, this time included.
    """
    return f" ({times - 1} more since the last line)" if times > 1 else ""
