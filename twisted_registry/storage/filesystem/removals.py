"""
The removal of files that no longer belong to the archive: what deleted models and versions left.

A deletion is durable before it is answered, and takes as long for a hundred thousand versions as for one.  The files
are removed afterwards, some at a time, so that no thread of a pool is occupied for long.  A restart goes on with what
is left.
"""

from collections.abc import Callable, Generator
from threading import Lock

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.storage.filesystem.failures import is_absent, reason_of
from twisted_registry.storage.filesystem.pinned_directory import PinnedDirectory

_log = Logger()

NAMES_AT_ONCE = 256
SECONDS_AT_ONCE = 0.02
"""The most names that one call removes, and the time after which it starts with no other."""

Steps = Callable[[], Generator[None, None, None]]
"""Starts a removal, which pauses after each name and raises ``OSError`` if something is left."""


@frozen
class _Removal:
    due_seconds: float
    start: Steps


class Removals:
    """
    The removals that are waiting or under way.  May be used in any thread.

    """

    def __init__(self, root: PinnedDirectory) -> None:
        self._root = root
        # Held while names are removed.
        self._running = Lock()
        # Held briefly.
        self._lock = Lock()
        self._waiting: dict[str, _Removal] = {}
        self._current: tuple[str, Generator[None, None, None]] | None = None

    def add(self, place: str, start: Steps, delay_seconds: float = 0.0) -> None:
        """
        Add a removal, unless one of this place is waiting.

        Args:
            place: the path for the log, which also identifies the removal.
            start: starts it.
            delay_seconds: how long to wait, so that it can do more at once.
        """
        with self._lock:
            self._waiting.setdefault(place, _Removal(self._root.system.seconds() + delay_seconds, start))

    def discard(self, place: str) -> None:
        """
        Abort a removal.  When this returns, it removes nothing more.
        """
        with self._running:
            with self._lock:
                self._waiting.pop(place, None)
            if self._current is not None and self._current[0] == place:
                self._end()

    def clear(self) -> None:
        """
        Abort all removals.
        """
        with self._running:
            with self._lock:
                self._waiting.clear()
            self._end()

    def next_seconds(self) -> float | None:
        """
        Return in how many seconds ``run`` is to be called; ``None`` if nothing is left.
        """
        with self._lock:
            if self._current is not None:
                return 0.0
            due_seconds = min((removal.due_seconds for removal in self._waiting.values()), default=None)
        return None if due_seconds is None else max(0.0, due_seconds - self._root.system.seconds())

    def run(self) -> None:
        """
        Remove some names, at most a few hundred.

        Raises:
            ArchiveMoved: the archive is no longer where it was opened.
            StorageFailure: another daemon has taken over the archive, or it is closed.
            OSError: the archive cannot be checked.
        """
        with self._running:
            self._root.check()
            end_seconds = self._root.system.seconds() + SECONDS_AT_ONCE
            for _ in range(NAMES_AT_ONCE):
                if self._current is None and not self._start_next():
                    return
                self._step()
                if self._root.system.seconds() >= end_seconds:
                    return

    def _start_next(self) -> bool:
        with self._lock:
            if not self._waiting:
                return False
            place = min(self._waiting, key=lambda place: self._waiting[place].due_seconds)
            self._current = place, self._waiting.pop(place).start()
        return True

    def _step(self) -> None:
        assert self._current is not None
        place, steps = self._current
        try:
            next(steps)
        except StopIteration:
            self._end()
        except OSError as error:
            if not is_absent(error):  # the model was deleted
                _log.warn("{path} stays until the next start: {reason}", path=place, reason=reason_of(error))
            self._end()
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current[1].close()
