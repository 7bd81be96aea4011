"""
The mark that the owner of an archive keeps in the file ``claim``: its process, and a counter that shows that it is
running.
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
    A process, described so that processes on other machines can recognize it.

    Attributes:
        host: the name of its machine, for people.
        pid: its process id, for people.
        boot: the id of its machine's boot; empty if unknown.
        namespace: the namespace of its process id; empty if unknown.
        started: its start time in the kernel's unit; empty if unknown.  Process ids are reused.
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
    # The name of the program, in parentheses, may contain any character.
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
    Return whether a process has certainly ended; false if it may be on another machine or in another namespace.
    """
    is_visible = bool(process.boot and process.namespace and process.started) and (
        (process.boot, process.namespace) == (this.boot, this.namespace)
    )
    return is_visible and _started(process.pid) != process.started


MARK_BYTES = 512
"""The length of every mark in bytes, so that one overwrites another with a single call."""

_MAX_HOST_BYTES = 64


@frozen
class Mark:
    """
    The content of the file.

    Attributes:
        owner: a random id of the archive's owner; empty if there is no owner.
        device: the device of the archive's folder, as numbered by the owner's machine.
        count: a number that rises with each renewal.
    """

    owner: str = ""
    process: Process = field(factory=lambda: Process("", 0))
    device: int = 0
    count: int = 0

    def __str__(self) -> str:
        return f"host {shown(self.process.host)}, process {self.process.pid}"


def format_mark(mark: Mark) -> bytes:
    """
    Return the content of the file for a mark.
    """
    if not mark.owner:
        return b"\n".rjust(MARK_BYTES)
    host = mark.process.host.encode("ascii", "replace")[:_MAX_HOST_BYTES].decode()
    values = asdict(evolve(mark, process=evolve(mark.process, host=host)))
    return json.dumps(values).encode().ljust(MARK_BYTES - 1) + b"\n"


def parse_mark(content: bytes) -> Mark:
    """
    Parse the content of the file.

    Raises:
        Malformed: it is not a mark.
    """
    if not content.strip():
        return Mark()
    try:
        values: Any = json.loads(content)
        process = Process(**values.pop("process"))
        mark = Mark(process=process, **values)
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError):
        raise Malformed("it is not a mark") from None
    for value in (mark, process):
        if any(type(getattr(value, each.name)) is not each.type for each in fields(type(value))):
            raise Malformed("it is not a mark")
    return mark


def mark_in(content: bytes) -> Mark:
    try:
        return parse_mark(content)
    except Malformed:
        return Mark()
