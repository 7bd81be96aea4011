"""
An operating system that records its calls, and fails or dies at a given one.
"""

import os
import re
from collections.abc import Callable
from itertools import count
from typing import Any

from attrs import define, field

from twisted_registry.storage.filesystem.system import System

_UNIQUE = re.compile(r"[0-9a-f]{32}")
_CHANGES = frozenset(
    {
        *("write", "write_at", "truncate", "sync_data", "fsync"),
        *("rename", "rename_noreplace", "link", "mkdir", "rmdir", "unlink"),
    }
)
_TAKING_SPACE = frozenset({"create", "write", "write_at", "rename", "rename_noreplace", "mkdir", "link"})

Disturbance = Callable[[str], None]
"""A callback that runs before each call, with a text such as ``fsync .0/tmp/*``, and may raise in its place."""


class Killed(BaseException):
    """
    The death of the process, which like ``kill -9`` runs no ``except OSError``.
    """


@define(eq=False)
class FaultySystem(System):
    """
    The real system, with a record of all calls.

    Attributes:
        root: the folder that recorded paths are relative to.
        calls: the calls, such as ``rename .0/tmp/* m/m.yaml``; ``*`` stands for a unique name.
        disturbance: the callback that runs before each call.
        descriptors: the open descriptors and the paths of their files.
        is_recording: whether calls are recorded and disturbed.
        now_seconds: what ``seconds`` returns.
    """

    root: str
    calls: list[str] = field(factory=list)
    disturbance: Disturbance | None = None
    descriptors: dict[int, str] = field(factory=dict)
    is_recording: bool = True
    now_seconds: float = 0.0

    def seconds(self) -> float:
        """
        Return the time that the test sets: however slow the machine is, removals are not cut short.
        """
        return self.now_seconds

    def changes(self) -> list[str]:
        """
        Return the calls that change or sync something.
        """
        return [call for call in self.calls if call.split()[0] in _CHANGES]

    def close_all(self) -> None:
        """
        Close the descriptors that a dead process would have left.
        """
        while self.descriptors:
            os.close(self.descriptors.popitem()[0])

    def _called(self, name: str, *what: object) -> None:
        if not self.is_recording:
            return
        call = " ".join([name, *map(self._shown, what)])
        self.calls.append(call)
        disturbance = self.disturbance
        if disturbance is None:
            return
        # As the real system does.
        if name in ("fsync", "sync_data"):
            self.space.freeing(lambda: disturbance(call))
        elif name in _TAKING_SPACE:
            self.space.retrying(lambda: disturbance(call))
        else:
            disturbance(call)

    def _shown(self, thing: object) -> str:
        path = self.descriptors[thing] if isinstance(thing, int) else str(thing)
        # The archive's paths are normalized, and this function is called a million times: relpath would take longer
        # than the archive itself.
        inside = path.removeprefix(f"{self.root}/")
        return _UNIQUE.sub("*", os.path.relpath(path, self.root) if inside is path else inside)

    def open(self, path: str, flags: int) -> int:
        """See ``System.open``."""
        self._called("create" if flags & os.O_CREAT else "open", path)
        descriptor = super().open(path, flags)
        self.descriptors[descriptor] = path
        return descriptor

    def claim_path(self, path: str) -> None:
        """See ``System.claim_path``.  Claims nothing: a process that is dead in a test would keep it."""

    def close(self, descriptor: int) -> None:
        """See ``System.close``."""
        # The descriptor is released even if closing fails.
        try:
            self._called("close", descriptor)
        except OSError:
            del self.descriptors[descriptor]
            super().close(descriptor)
            raise
        del self.descriptors[descriptor]
        super().close(descriptor)


def _forward(name: str, arguments: int) -> Callable[..., Any]:
    original = getattr(System, name)

    def call(self: FaultySystem, *what: Any) -> Any:
        """See ``System``."""
        self._called(name, *what[:arguments])
        return original(self, *what)

    return call


for _name in (
    "read",
    "read_into",
    "seek",
    "write",
    "start_writeback",
    "fsync",
    "fstat",
    "stat",
    "lstat",
    "mkdir",
    "rmdir",
    "unlink",
    "listdir",
    "scandir",
    "flock",
    "write_at",
    "read_at",
    "truncate",
    "sync_data",
    "lock_byte",
):
    setattr(FaultySystem, _name, _forward(_name, 1))
FaultySystem.rename = _forward("rename", 2)  # type: ignore[method-assign]
FaultySystem.rename_noreplace = _forward("rename_noreplace", 2)  # type: ignore[method-assign]
FaultySystem.link = _forward("link", 2)  # type: ignore[method-assign]


def failing_at(number: int, position: int) -> Disturbance:
    """
    Fail one call.

    Args:
        number: the error number.
        position: the position of the call, from 0.
    """
    return _from_to(position, position + 1, OSError(number, os.strerror(number)))


def failing_from(number: int, position: int) -> Disturbance:
    """
    Fail a call and all later ones, except ``close``.

    Args:
        number: the error number.
        position: the position of the first call to fail, from 0.
    """
    error = OSError(number, os.strerror(number))
    calls = count()

    def disturb(call: str) -> None:
        if next(calls) >= position and not call.startswith("close "):
            raise error

    return disturb


def killed_at(position: int) -> Disturbance:
    """
    Kill the process at a call.
    """
    return _from_to(position, 10**9, Killed())


def failing_where(pattern: str, number: int) -> Disturbance:
    """
    Fail all calls that match a regular expression.
    """

    def disturb(call: str) -> None:
        if re.fullmatch(pattern, call):
            raise OSError(number, os.strerror(number))

    return disturb


def _from_to(first: int, end: int, error: BaseException) -> Disturbance:
    calls = count()

    def disturb(call: str) -> None:
        if first <= next(calls) < end:
            raise error

    return disturb
