"""
A transient store for tests, on disk: so it may block, and every call of it goes through threads.

A version is a file without a name, which its readers share, and which is gone when nobody has it open.
"""

import os
import tempfile
from collections.abc import Sequence
from threading import Lock
from typing import IO

from attrs import evolve, frozen
from zope.interface import implementer

from twisted_registry.contracts.transient import (
    EvictionRank,
    ITransientReader,
    ITransientStore,
    ITransientWriter,
    TransientBudget,
    Usage,
)
from twisted_registry.domain.models import Chunk, VersionKey


@frozen
class Scratch:
    """
    A version.

    Attributes:
        chunks: of each chunk, how long its buffer is and where its data begins.
    """

    file: IO[bytes]
    chunks: tuple[tuple[int, int], ...]
    size_bytes: int
    rank: EvictionRank


@implementer(ITransientStore)
class ScratchStore:
    """
    A store of versions in files.
    """

    def __init__(self, budget: TransientBudget, folder: str) -> None:
        self.max_bytes = budget.max_bytes
        self._max_items = budget.max_items
        self._folder = folder
        self._lock = Lock()
        # The least recently used is first.
        self._held: dict[VersionKey, Scratch] = {}

    def create_version(self) -> "ScratchWriter":
        return ScratchWriter(self, self._folder)

    def open_version(self, key: VersionKey) -> "ScratchReader":
        return ScratchReader(self._held[key])

    def set_rank(self, key: VersionKey, rank: EvictionRank) -> None:
        with self._lock:
            if key in self._held:
                self._held[key] = evolve(self._held[key], rank=rank)

    def touch(self, keys: Sequence[VersionKey]) -> None:
        with self._lock:
            for key in keys:
                if key in self._held:
                    self._held[key] = self._held.pop(key)

    def remove(self, keys: Sequence[VersionKey]) -> None:
        with self._lock:
            for key in keys:
                self._held.pop(key, None)

    def usage(self) -> Usage:
        with self._lock:
            return self._usage()

    def has_room(self, size_bytes: int, rank: EvictionRank) -> bool:
        with self._lock:
            above = [scratch.size_bytes for scratch in self._held.values() if scratch.rank > rank]
            return len(above) < self._max_items and sum(above) + size_bytes <= self.max_bytes

    def _usage(self) -> Usage:
        return Usage(len(self._held), sum(scratch.size_bytes for scratch in self._held.values()))

    def keep(self, key: VersionKey, scratch: Scratch) -> list[VersionKey]:
        """
        Take a version, and evict what goes beyond the budget.
        """
        evicted = []
        with self._lock:
            self._held.pop(key, None)
            self._held[key] = scratch
            while (usage := self._usage()).items > self._max_items or usage.size_bytes > self.max_bytes:
                evicted.append(min(self._held, key=lambda held: self._held[held].rank))
                del self._held[evicted[-1]]
        return evicted


@implementer(ITransientWriter)
class ScratchWriter:
    """
    A writer of one version.
    """

    def __init__(self, store: ScratchStore, folder: str) -> None:
        self._store = store
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._sizes: list[tuple[int, int]] = []

    def write(self, chunk: Chunk) -> None:
        self._opened().write(chunk.buffer)
        self._sizes.append((len(chunk.buffer), chunk.data_offset))

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        return self._file

    def commit(self, key: VersionKey, rank: EvictionRank) -> list[VersionKey]:
        file, self._file = self._opened(), None
        file.flush()
        size_bytes = sum(length - offset for length, offset in self._sizes)
        return self._store.keep(key, Scratch(file, tuple(self._sizes), size_bytes, rank))

    def abort(self) -> None:
        self._file = None


@implementer(ITransientReader)
class ScratchReader:
    """
    A reader of one version.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._chunks = iter(scratch.chunks)
        self._position = 0

    def read(self) -> Chunk | None:
        length, offset = next(self._chunks, (None, 0))
        if length is None:
            return None
        buffer = os.pread(self._scratch.file.fileno(), length, self._position)
        self._position += length
        return Chunk(buffer, offset)

    def close(self) -> None:
        self._chunks = iter(())
