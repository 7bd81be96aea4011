"""
Locks for threads, one for each model's folder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from attrs import define, field


@define(eq=False)
class _Held:
    lock: Lock = field(factory=Lock)
    users: int = 0


@define(eq=False)
class FolderLocks:
    """
    A lock for each name.  Only those that are in use take memory.
    """

    _mutex: Lock = field(factory=Lock, init=False)
    _held: dict[str, _Held] = field(factory=dict, init=False)

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """
        Hold the lock of one name, once no other thread does.
        """
        with self._mutex:
            held = self._held.setdefault(name, _Held())
            held.users += 1
        try:
            with held.lock:
                yield
        finally:
            with self._mutex:
                held.users -= 1
                if not held.users:
                    del self._held[name]
