"""
Audit logs for tests: their lines, and system calls that fail.
"""

import errno
import json
import os
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

from attrs import define, field
from zope.interface import implementer

from twisted_registry.access.audit.file import AuditSystem
from twisted_registry.access.audit.log import AuditLog
from twisted_registry.contracts.access import IAuditLog


def lines_of(path: Path) -> list[dict[str, Any]]:
    """
    Return the lines of an audit log.
    """
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def entries_of(path: Path) -> list[dict[str, Any]]:
    """
    Return the lines without their place in the chain and their time.
    """
    hidden = ("prev", "seq", "time", "pid", "server")
    return [{key: value for key, value in line.items() if key not in hidden} for line in lines_of(path)]


@define(eq=False)
class FaultyDisk:
    """
    A disk whose writes and syncs fail on demand.

    Attributes:
        free_bytes: how many bytes can be written until it is full; ``None`` for any number.
        bug: an error that a write raises; ``None`` for none.
        sync_error: the error of a sync; 0 if it succeeds.
        synced: gets an item for each sync that has succeeded.
        answers: cleared while syncs do not end.
        asked: set once a sync has begun.
    """

    free_bytes: int | None = None
    bug: Exception | None = None
    sync_error: int = 0
    synced: "SimpleQueue[None]" = field(factory=SimpleQueue)
    answers: Event = field(factory=Event)
    asked: Event = field(factory=Event)

    def __attrs_post_init__(self) -> None:
        self.answers.set()

    def forget_syncs(self) -> None:
        """
        Forget the syncs so far, those of the start.
        """
        self.asked.clear()
        while not self.synced.empty():
            self.synced.get()

    @property
    def system(self) -> AuditSystem:
        """
        The system calls.
        """
        return AuditSystem(self._write, self._sync)

    def _write(self, descriptor: int, content: memoryview) -> int:
        if self.bug is not None:
            raise self.bug
        if self.free_bytes is None:
            return os.write(descriptor, content)
        if not self.free_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(descriptor, content[: self.free_bytes])
        self.free_bytes -= written
        return written

    def _sync(self, descriptor: int) -> None:
        self.asked.set()
        self.answers.wait()
        if self.sync_error:
            raise OSError(self.sync_error, os.strerror(self.sync_error))
        os.fsync(descriptor)
        self.synced.put(None)


def open_log(path: Path, disk: FaultyDisk | None = None, **options: Any) -> AuditLog:
    """
    Return an open log that tries a failed file again at once.
    """
    log = AuditLog(path, system=None if disk is None else disk.system, retry_seconds=0.001, **options)
    log.open()
    return log


@implementer(IAuditLog)
@define(eq=False)
class FakeLog:
    """
    An audit log in memory.

    Attributes:
        entries: what was recorded.
        awaited: those of them for which somebody waits.
        problem: see ``IAuditLog.problem``.
        is_required: see ``IAuditLog.is_required``.
    """

    entries: list[dict[str, Any]] = field(factory=list)
    awaited: list[dict[str, Any]] = field(factory=list)
    problem: str = ""
    is_required: bool = False

    def append(self, entry: Mapping[str, Any]) -> None:
        """See ``IAuditLog.append``."""
        self.entries.append(dict(entry))

    def record(self, entry: Mapping[str, Any]) -> "Future[None]":
        """See ``IAuditLog.record``."""
        self.append(entry)
        self.awaited.append(dict(entry))
        written: Future[None] = Future()
        written.set_result(None)
        return written
