"""
The mark that the owner of an archive keeps in the file ``claim``: which process it is, and that it is alive.
"""

import json
import os
import socket
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, fields, frozen

from twisted_registry.domain.errors import shown
from twisted_registry.storage.filesystem.failures import Malformed


@frozen
class Process:
    """
    A process.

    Attributes:
        host: the name of its machine, for people.
        pid: its number, for people.
        boot: tells one run of a machine's kernel from all others; empty where that is not known.
        namespace: within which the number means this process; empty where that is not known.
        started: when it began, in whatever the kernel counts: a number is used again.
    """

    host: str
    pid: int
    boot: str = ""
    namespace: str = ""
    started: str = ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _started(pid: int) -> str:
    # The name of the program, in brackets, may hold anything.
    after_name = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return after_name[19] if len(after_name) > 19 else ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def this_process() -> Process:
    """
    Return this process.
    """
    pid = os.getpid()
    return Process(socket.gethostname(), pid, _read("/proc/sys/kernel/random/boot_id"), _namespace(), _started(pid))


def has_ended(process: Process, this: Process) -> bool:
    """
    Return whether a process is certain to have ended; not where it may be on another machine, or out of sight.
    """
    is_in_sight = bool(process.boot and process.namespace and process.started) and (
        (process.boot, process.namespace) == (this.boot, this.namespace)
    )
    return is_in_sight and _started(process.pid) != process.started


MARK_BYTES = 512
"""All marks have this length: they are written over one another, in one piece."""

_MOST_HOST_BYTES = 64


@frozen
class Mark:
    """
    What the file says.

    Attributes:
        owner: a random id of the one who has the archive; empty for nobody.
        device: of the archive's folder, as the owner's machine numbers it.
        count: rises with each renewal.
    """

    owner: str = ""
    process: Process = field(factory=lambda: Process("", 0))
    device: int = 0
    count: int = 0

    def __str__(self) -> str:
        return f"host {shown(self.process.host)}, process {self.process.pid}"


def format_mark(mark: Mark) -> bytes:
    """
    Return a mark as it is written.
    """
    if not mark.owner:
        return b"\n".rjust(MARK_BYTES)
    host = mark.process.host.encode("ascii", "replace")[:_MOST_HOST_BYTES].decode()
    told = asdict(evolve(mark, process=evolve(mark.process, host=host)))
    return json.dumps(told).encode().ljust(MARK_BYTES - 1) + b"\n"


def parse_mark(content: bytes) -> Mark:
    """
    Read a mark.

    Raises:
        Malformed: it is none.
    """
    if not content.strip():
        return Mark()
    try:
        told: Any = json.loads(content)
        process = Process(**told.pop("process"))
        mark = Mark(process=process, **told)
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError):
        raise Malformed("it is no mark") from None
    for value in (mark, process):
        if any(type(getattr(value, each.name)) is not each.type for each in fields(type(value))):
            raise Malformed("it is no mark")
    return mark


def mark_in(content: bytes) -> Mark:
    try:
        return parse_mark(content)
    except Malformed:
        return Mark()
