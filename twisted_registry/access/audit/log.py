"""
The audit log: a line of JSON for each act that changes something, and for each call that is refused.

A thread writes the lines.  It syncs them in batches: the entries that come while a batch is synced are the next one.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry import __version__
from twisted_registry.access.audit.chain import encode
from twisted_registry.access.audit.file import AuditFile, AuditSystem
from twisted_registry.contracts.access import IAuditLog
from twisted_registry.domain.errors import AuditUnavailable
from twisted_registry.repeated_lines import RepeatedLines

_log = Logger()

_PENDING_MAX = 10_000
_DELAY_SECONDS = 0.25
"""How long entries for which nobody waits may wait for others, because each batch costs a sync and wakes a thread."""

_RETRY_SECONDS = 1.0
_HUNG_SECONDS = 10.0
"""A sync that takes longer is taken for one that never ends."""

_Pending = tuple[int, str, "Future[None] | None"]


@implementer(IAuditLog)
class AuditLog:
    """
    An audit log in a file.

    If the file cannot be written, entries for which nobody waits stay in memory, up to a limit.  The file is tried
    again every second, and a line then says how many entries may be missing.

    Attributes:
        is_required: see ``IAuditLog.is_required``.
        missing: how many entries were not written, in all.
    """

    def __init__(
        self,
        path: Path,
        *,
        is_required: bool = False,
        system: AuditSystem | None = None,
        pending_max: int = _PENDING_MAX,
        retry_seconds: float = _RETRY_SECONDS,
        now_ns: Callable[[], int] = time.time_ns,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """

        Args:
            path: the file.
            is_required: see ``IAuditLog.is_required``.
            system: the system calls that make lines durable.
            pending_max: how many entries may wait to be written.
            retry_seconds: the time between attempts to use a file that could not be written.
            now_ns: returns the time in nanoseconds since the Unix epoch.
            seconds: returns the time in seconds from any fixed point.
        """
        self.is_required = is_required
        self._path = path
        self._file = AuditFile(path, AuditSystem() if system is None else system)
        self._pending_max = pending_max
        self._retry_seconds = retry_seconds
        self._now_ns = now_ns
        self._seconds = seconds
        # These change while the condition is held.
        self._changed = Condition()
        self._pending: deque[_Pending] = deque()
        self._is_awaited = False
        self._must_reopen = False
        self._is_closed = False
        self._missing = 0
        self.missing = 0
        # These are changed by the thread alone.
        self._problem = ""
        self._writing_since: float | None = None
        self._lines = RepeatedLines(seconds)
        self._thread = Thread(target=self._run, name="audit", daemon=True)

    @property
    def problem(self) -> str:
        """See ``IAuditLog.problem``."""
        since = self._writing_since
        if not self._problem and since is not None and self._seconds() - since > _HUNG_SECONDS:
            return "the disk does not answer"
        return self._problem

    def open(self) -> None:
        """
        Open the file, write its first line, and start the thread.  This blocks.

        Raises:
            AuditUnavailable: the file cannot be used.
        """
        start = {"event": "start", "pid": os.getpid(), "server": __version__, **self._file.open()}
        self._file.add([(self._now_ns(), encode(start))])
        self._thread.start()

    def _miss(self, entries: int) -> None:
        self._missing += entries
        self.missing += entries

    def append(self, entry: Mapping[str, Any]) -> None:
        """See ``IAuditLog.append``."""
        line = encode(entry)
        with self._changed:
            if self._is_closed or len(self._pending) >= self._pending_max:
                self._miss(1)
                return
            self._pending.append((self._now_ns(), line, None))
            if len(self._pending) == 1:
                self._changed.notify()

    def record(self, entry: Mapping[str, Any]) -> "Future[None]":
        """See ``IAuditLog.record``."""
        line = encode(entry)
        written: Future[None] = Future()
        written.set_running_or_notify_cancel()  # a call that is cancelled does not cancel it
        with self._changed:
            problem = self.problem or ("it is closed" if self._is_closed else "")
            if not problem and len(self._pending) >= self._pending_max:
                problem = "too many entries wait to be written"
            if problem:
                self._miss(1)
                written.set_exception(AuditUnavailable(problem))
                return written
            self._pending.append((self._now_ns(), line, written))
            self._is_awaited = True
            self._changed.notify()
        return written

    def reopen(self) -> None:
        """
        Go on in the file that has the path now: the present one may have been renamed.
        """
        with self._changed:
            self._must_reopen = True
            self._changed.notify()

    def close(self, timeout_seconds: float = _HUNG_SECONDS) -> None:
        """
        Write what is pending, and a last line.  This blocks.

        Args:
            timeout_seconds: how long it may take; what is not written then is lost.
        """
        with self._changed:
            if not self._is_closed:
                self._pending.append((self._now_ns(), encode({"event": "stop"}), None))
            self._is_closed = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            _log.error("the audit log {path} was not closed: the disk does not answer; check it", path=str(self._path))
        else:
            self._file.close()

    # In the thread

    def _run(self) -> None:
        while self._wait():
            self._work()
        if self._missing:
            _log.error("{count} entries of the audit log were not written: check its disk", count=self._missing)

    def _wait(self) -> bool:
        """
        Wait until there is something to do.

        Returns:
            false if everything is done and the log is closed.
        """
        with self._changed:
            if self._problem and not self._is_closed:
                self._changed.wait_for(lambda: self._is_closed or self._must_reopen, self._retry_seconds)
                return True
            self._changed.wait_for(lambda: self._pending or self._must_reopen or self._is_closed)
            if not (self._is_awaited or self._must_reopen or self._is_closed):
                self._changed.wait_for(lambda: self._is_awaited or self._must_reopen or self._is_closed, _DELAY_SECONDS)
            return not self._is_closed or bool(self._pending)

    def _work(self) -> None:
        self._writing_since = self._seconds()
        batch: list[_Pending] = []
        try:
            torn = self._prepare()
            if torn or self._problem or self._missing:
                self._add_missing(torn)
            batch = self._take()
            if batch:
                self._file.add([(time_ns, entry) for time_ns, entry, _ in batch])
        except AuditUnavailable as error:
            self._failed(error, batch)
        except Exception:  # the thread goes on, or nothing more would be recorded
            _log.failure("a bug in the audit log")
            self._file.close()
            self._failed(AuditUnavailable("a bug in the registry, which its log describes"), batch)
        else:
            for _, _, written in batch:
                if written is not None:
                    written.set_result(None)
        finally:
            self._writing_since = None

    def _prepare(self) -> Mapping[str, Any]:
        with self._changed:
            must_reopen, self._must_reopen = self._must_reopen, False
        if must_reopen or self._file.is_removed:
            self._file.close()
        return {} if self._file.is_open else self._file.open()

    def _add_missing(self, torn: Mapping[str, Any]) -> None:
        # Alone, so that nothing else is lost if the file still cannot be written.
        missing = self._missing
        self._file.add([(self._now_ns(), encode({"event": "missing", "count": missing, **torn}))])
        with self._changed:
            self._missing -= missing
        if self._problem:
            self._problem = ""
            self._lines.ended("")
            _log.info("the audit log {path} can be written again", path=str(self._path))

    def _take(self) -> list[_Pending]:
        with self._changed:
            batch = list(self._pending)
            self._pending.clear()
            self._is_awaited = False
        return batch

    def _failed(self, error: AuditUnavailable, batch: list[_Pending]) -> None:
        self._problem = error.reason
        with self._changed:
            # Nobody waits for the rest, which stays for the next attempt.
            lost = [each for each in self._pending if each[2] is not None or self._is_closed]
            self._pending = deque(each for each in self._pending if each[2] is None and not self._is_closed)
            batch += lost
            self._miss(len(batch))
        for _, _, written in batch:
            if written is not None:
                written.set_exception(error)
        self._lines.happened("", partial(self._log_problem, error.reason))

    def _log_problem(self, reason: str, times: int) -> None:
        _log.error(
            "the audit log {path} cannot be written: {reason}; {refused} are refused until it can, and {count} entries "
            "may be missing so far; make space, or repair the path",
            path=str(self._path),
            reason=reason,
            refused="all changes" if self.is_required else "deletions, moves of aliases and administration",
            count=self._missing,
        )
