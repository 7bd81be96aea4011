"""
Infos read from the archive, kept for the next who asks.
"""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_OVERHEAD_BYTES = 1000
"""About what an info takes in memory beside its user data."""


def info_size_bytes(metadata: Mapping[str, str]) -> int:
    """
    Estimate what an info takes in memory.
    """
    return _OVERHEAD_BYTES + sum(100 + len(key) + len(value) for key, value in metadata.items())


class InfoCache(Generic[K, V]):
    """
    Keeps infos within a budget of bytes; the oldest go first.

    Written in the reactor's thread, read in any: a single look-up in a dict cannot be torn.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._held: dict[K, tuple[V, int]] = {}

    def peek(self, key: K) -> V | None:
        """
        Give an info, if it is here.  May be called in any thread.
        """
        held = self._held.get(key)
        return None if held is None else held[0]

    def add(self, key: K, info: V, size_bytes: int) -> None:
        """
        Keep an info, in place of an older one.
        """
        self.discard(key)
        self._held[key] = (info, size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > self._max_bytes:
            self.discard(next(iter(self._held)))

    def discard(self, key: K) -> None:
        """
        Forget an info, if it is here.
        """
        _, size_bytes = self._held.pop(key, (None, 0))
        self._size_bytes -= size_bytes
