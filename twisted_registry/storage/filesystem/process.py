"""
Which process this is, in words that processes of other machines can compare.
"""

import os
import socket
from pathlib import Path

from attrs import frozen


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
