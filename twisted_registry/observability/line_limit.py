"""
The limit on lines that repeat: a bug in a frequent call must not fill the disk with tracebacks.

Problems that are known to repeat are limited where they are logged, with a better text (``repeated_lines``).  This
limits the others: tracebacks of bugs, warnings that are not expected to repeat, and lines of other libraries.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Any

from attrs import define
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_registry.observability.log_lines import OWN, bounded
from twisted_registry.repeated_lines import REPEAT_SECONDS

LINES_MAX = 50
"""The most lines of one kind in a minute."""

KINDS_MAX = 1000
"""So many kinds of lines are remembered."""

_TEXT_CHARACTERS = 60
_FRAMES_MAX = 50


@define(eq=False)
class _Kind:
    """
    Lines of one kind.

    Attributes:
        first: the first event of the minute.
        ends_seconds: when the minute ends.
        passed: how many lines were written in it.
        dropped: how many were not.
    """

    first: LogEvent
    ends_seconds: float
    passed: int = 0
    dropped: int = 0


@implementer(ILogObserver)
class LineLimit:
    """
    An observer that passes events on to another one, 50 of a kind in a minute.  Of events with the same traceback, only
    the first of the minute has it.

    May be used in any thread.
    """

    def __init__(
        self,
        observer: ILogObserver,
        now_seconds: Callable[[], float] = time.monotonic,
        lines_max: int = LINES_MAX,
    ) -> None:
        """

        Args:
            observer: the other one.
            now_seconds: returns the time in seconds from any fixed point.
            lines_max: how many events of a kind it gets in a minute.
        """
        self._observer = observer
        self._now_seconds = now_seconds
        self._lines_max = lines_max
        self._kinds: dict[Hashable, _Kind] = {}
        self._lock = Lock()

    def __call__(self, event: LogEvent) -> None:
        """
        Pass on an event, or count it.
        """
        key = _kind_of(event)
        for each in [event] if key is None else self._passed(key, event):
            self._observer(each)

    def _passed(self, key: Hashable, event: LogEvent) -> Sequence[LogEvent]:
        """
        Return the events to pass on.
        """
        now = self._now_seconds()
        with self._lock:
            kind, summary = self._kinds.get(key), []
            if kind is not None and now >= kind.ends_seconds:
                summary = _summary(kind)
                kind = None
            if kind is None:
                self._kinds.pop(key, None)
                kind = self._kinds[key] = _Kind(event, now + REPEAT_SECONDS)
                if len(self._kinds) > KINDS_MAX:
                    del self._kinds[next(iter(self._kinds))]
            if kind.passed >= self._lines_max:
                kind.dropped += 1
                return summary
            kind.passed += 1
            return [*summary, event if kind.passed == 1 else _without_traceback(event)]

    def flush(self) -> None:
        """
        Pass on how many events were dropped in each minute that has ended.
        """
        now, summaries = self._now_seconds(), []
        with self._lock:
            for key in [key for key, kind in self._kinds.items() if now >= kind.ends_seconds]:
                summaries += _summary(self._kinds.pop(key))
        for each in summaries:
            self._observer(each)


def _kind_of(event: LogEvent) -> Hashable:
    """
    Return what identifies the kind of an event; ``None`` if it is not limited.
    """
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        frames = failure.frames[-_FRAMES_MAX:]
        return failure.type, tuple((file, line) for _, file, line, *_ in frames)
    level, namespace = event.get("log_level"), str(event.get("log_namespace") or event.get("log_system"))
    if level is LogLevel.debug:
        return None
    if not namespace.startswith(OWN):
        return namespace, formatEvent(event)[:_TEXT_CHARACTERS]
    return None if level is LogLevel.info else (namespace, event.get("log_format"))


def _without_traceback(event: LogEvent) -> LogEvent:
    if "log_failure" not in event:
        return event
    return _text(event, f"{formatEvent(event)}, with a traceback that was logged within the last minute")


def _summary(kind: _Kind) -> list[LogEvent]:
    if not kind.dropped:
        return []
    text = f"{kind.dropped} more lines like this one were left out within a minute: {bounded(formatEvent(kind.first))}"
    return [{**_text(kind.first, text), "log_time": time.time(), "times": kind.dropped}]


def _text(event: LogEvent, text: str) -> LogEvent:
    """
    Return an event with another text, and without its traceback.
    """
    left_out = ("log_failure", "failure", "isError", "why", "log_text", "message", "format")
    kept: dict[str, Any] = {name: value for name, value in event.items() if name not in left_out}
    return {**kept, "log_format": "{text}", "text": text}
