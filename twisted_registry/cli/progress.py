"""
A progress bar for bytes on stderr.  It appears only on a terminal, and only if the work takes longer than a second.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock, Timer
from types import TracebackType
from typing import ClassVar

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from twisted_registry.cli.errors import report

_SHOW_AFTER_SECONDS = 1.0

_WIDE = 60
_NARROW = 45
"""Minimum line widths, in characters, for the bar and for the rate: a narrower line would wrap."""

_DUMB = ("", "dumb", "unknown")
"""Values of ``TERM`` for terminals whose cursor cannot be moved."""


def _stderr() -> Console:
    """
    Return the console for stderr.

    Variables such as ``FORCE_COLOR`` and ``TTY_COMPATIBLE`` make rich treat a file as a terminal.  A moving bar belongs
    on a real terminal only.
    """
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in _DUMB
    return Console(stderr=True, force_terminal=is_terminal, force_interactive=is_terminal)


def _columns(width: int) -> Iterator[ProgressColumn]:
    yield TextColumn("{task.description}")
    if width >= _WIDE:
        yield BarColumn()
    yield DownloadColumn()
    if width >= _NARROW:
        yield TransferSpeedColumn()
    yield TimeRemainingColumn()


class _Bar(Progress):
    """
    A bar whose rate falls while nothing advances: rich computes the rate from one advance to the next.
    """

    def get_renderables(self) -> Iterable[RenderableType]:
        """
        Record that nothing advanced, each time the bar is drawn.
        """
        for task in self.tasks:
            self.advance(task.id, 0)
        return super().get_renderables()


class ByteProgress:
    """
    A progress bar with bytes, rate and remaining time.  May be used in any thread.

    Attributes:
        current: the bar in use; ``None`` if there is none.
    """

    current: "ClassVar[ByteProgress | None]" = None

    def __init__(self, what: str, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """

        Args:
            what: the work, such as ``sending``.
            console: the console to draw on; stderr by default.
            clock: returns the time in seconds.
        """
        self._console = console or _stderr()
        self._bar = _Bar(
            *_columns(self._console.width),
            console=self._console,
            get_time=clock,
            transient=True,
            # The output goes to stdout, which may be a file.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(what, total=None)
        self._lock = Lock()
        # A timer, not the first advance: stalled work shows a bar too.
        self._timer = Timer(_SHOW_AFTER_SECONDS, self.show)
        self._timer.daemon = True
        self._is_on = self._console.is_terminal
        self._is_shown = False

    def __enter__(self) -> "ByteProgress":
        ByteProgress.current = self
        if self._is_on:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ByteProgress.current = None
        self._timer.cancel()
        with self._lock:
            self._is_on = False
            # rich would print a newline for a bar that was never shown.
            if self._is_shown:
                self._bar.stop()

    def set_total(self, size_bytes: int) -> None:
        """
        Set the total number of bytes.
        """
        self._bar.update(self._task, total=size_bytes)

    def restart(self, what: str, size_bytes: int | None = None) -> None:
        """
        Restart the bar for other work.

        Args:
            what: the work, such as ``sending``.
            size_bytes: the total number of bytes; ``None`` if it is not known.
        """
        self._bar.reset(self._task, description=what, total=size_bytes)

    def advance(self, size_bytes: int) -> None:
        """
        Advance the bar.

        Args:
            size_bytes: the number of bytes done; negative if done work was lost, and is repeated.
        """
        with self._lock:
            if self._is_on and size_bytes < 0:
                self._go_back(size_bytes)
            elif self._is_on:
                self._bar.advance(self._task, size_bytes)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """
        Hide the bar for as long as the context lasts, so that something else can be printed.
        """
        with self._lock:
            if self._is_shown:
                self._bar.stop()
            try:
                yield
            finally:
                if self._is_shown and self._is_on:
                    self._bar.start()

    def show(self) -> None:
        """
        Show the bar now.
        """
        with self._lock:
            if self._is_on and not self._is_shown:
                self._is_shown = True
                self._bar.start()

    def _go_back(self, size_bytes: int) -> None:
        # Reset, because lost bytes would count towards the rate.
        (task,) = self._bar.tasks
        self._bar.reset(self._task, completed=max(0, int(task.completed) + size_bytes))


def report_beside_bar(text: str) -> None:
    """
    Print a line to stderr, above the bar if there is one.
    """
    bar = ByteProgress.current
    with nullcontext() if bar is None else bar.hidden():
        report(text)
