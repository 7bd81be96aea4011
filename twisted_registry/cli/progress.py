"""
A progress bar for bytes: on stderr, only on a terminal, and only for what takes longer than a moment.
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

_MOMENT_SECONDS = 1.0

_WIDE = 60
_NARROW = 45
"""How many characters of a line the bar and the rate want: in fewer, what is told would be cut and folded."""

_DUMB = ("", "dumb", "unknown")
"""Terminals whose cursor cannot be moved."""


def _stderr() -> Console:
    """
    Return the console for stderr.  Variables such as ``FORCE_COLOR`` and ``TTY_COMPATIBLE`` have rich take a file for a
    terminal; what moves may be shown on a real one only.
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
    Rich works the rate out from one advance to the next: what stands still would keep the last.
    """

    def get_renderables(self) -> Iterable[RenderableType]:
        """
        Count the time up to now, each time that the bar is drawn.
        """
        for task in self.tasks:
            self.advance(task.id, 0)
        return super().get_renderables()


class ByteProgress:
    """
    Shows how many bytes of how many are done, at what rate, and how long it will take.  May be told in any thread.

    @cvar current: the one that is on the screen, or may come there.
    """

    current: "ClassVar[ByteProgress | None]" = None

    def __init__(self, what: str, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """

        Args:
            what: what is done, such as ``sending``.
            clock: tells the time in seconds.
        """
        self._console = console or _stderr()
        self._bar = _Bar(
            *_columns(self._console.width),
            console=self._console,
            get_time=clock,
            transient=True,
            # What is found goes to stdout by itself, wherever that leads.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(what, total=None)
        self._lock = Lock()
        # By the clock, not by what is done: what stands still shows a bar too.
        self._timer = Timer(_MOMENT_SECONDS, self.show)
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
            # A bar that was never shown would still end its line.
            if self._is_shown:
                self._bar.stop()

    def expect(self, size_bytes: int) -> None:
        """
        Say how many bytes there are.
        """
        self._bar.update(self._task, total=size_bytes)

    def restart(self, what: str, size_bytes: int | None = None) -> None:
        """
        Begin with something else.

        Args:
            size_bytes: how many bytes of it there are, where that is known.
        """
        self._bar.reset(self._task, description=what, total=size_bytes)

    def advance(self, size_bytes: int) -> None:
        """
        Say how many bytes more are done.

        Args:
            size_bytes: less than 0 where what was done is lost, and is done again.
        """
        with self._lock:
            if self._is_on and size_bytes < 0:
                self._go_back(size_bytes)
            elif self._is_on:
                self._bar.advance(self._task, size_bytes)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """
        Take the bar off the screen for as long as something else is printed.
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
        Show it, though the moment has not passed.
        """
        with self._lock:
            if self._is_on and not self._is_shown:
                self._is_shown = True
                self._bar.start()

    def _go_back(self, size_bytes: int) -> None:
        # Anew, for what is lost would count against the rate, and what was once done would stay done.
        (task,) = self._bar.tasks
        self._bar.reset(self._task, completed=max(0, int(task.completed) + size_bytes))


def report_beside_bar(text: str) -> None:
    """
    Say something on stderr, where a bar may be.
    """
    bar = ByteProgress.current
    with nullcontext() if bar is None else bar.hidden():
        report(text)
