"""
An archive that reports how long the operations of another one take.
"""

import time
from collections.abc import Callable
from typing import Any, cast

from zope.interface import directlyProvides, providedBy

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.observation import IArchiveObserver

_OPERATIONS = {
    "load_version": "load",
    "load_versions": "load",
    "open_version": "open",
    "save_model": "save",
    "save_annotations": "save",
    "append_alias_moves": "save",
    "save_retention": "save",
    "save_retention_prefix": "save",
    "set_high_water_mark": "set_high_water_mark",
    "delete_model": "delete",
    "delete_version": "delete",
    "delete_versions": "delete",
    "check": "check",
    "finish": "finish",
    "commit": "commit",
    "commit_between": "commit",
}
"""The calls that are measured, with the names under which they are reported."""

_WRITERS = frozenset({"create_version", "create_resumable", "resume_version"})
"""The calls that return a writer."""


class _Measuring:
    """
    An object around another one, which has the same methods.
    """

    def __init__(self, wrapped: Any, observer: IArchiveObserver, now_seconds: Callable[[], float]) -> None:
        self._wrapped = wrapped
        self._observer = observer
        self._now_seconds = now_seconds
        directlyProvides(self, *providedBy(wrapped))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        if name in _OPERATIONS:
            found = _measured(_OPERATIONS[name], found, self._observer, self._now_seconds)
        elif name in _WRITERS:
            found = _measuring_writers(found, self._observer, self._now_seconds)
        if callable(found):
            # The next access costs nothing.  No function refers to this object: a cycle would keep a writer in memory.
            setattr(self, name, found)
        return found


def _measured(
    operation: str, call: Callable[..., Any], observer: IArchiveObserver, now_seconds: Callable[[], float]
) -> Callable[..., Any]:
    def measured(*args: Any) -> Any:
        began = now_seconds()
        result = call(*args)
        observer.succeeded(operation, now_seconds() - began)
        return result

    return measured


def _measuring_writers(
    create: Callable[..., Any], observer: IArchiveObserver, now_seconds: Callable[[], float]
) -> Callable[..., Any]:
    return lambda *args: _Measuring(create(*args), observer, now_seconds)


def measuring_archive(
    archive: IArchive, observer: IArchiveObserver, now_seconds: Callable[[], float] = time.perf_counter
) -> IArchive:
    """
    Return an archive that reports how long the operations of another one take that succeed.  Reads and writes of single
    chunks are not measured.

    Args:
        now_seconds: returns the time in seconds from any fixed point.
    """
    return cast(IArchive, _Measuring(archive, observer, now_seconds))
