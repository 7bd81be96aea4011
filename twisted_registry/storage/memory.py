"""
The transient store in memory.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock

from attrs import define, field, frozen
from zope.interface import implementer

from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.contracts.transient import (
    EvictionRank,
    IPredictableStore,
    ITransientReader,
    ITransientWriter,
    TransientBudget,
    Usage,
)
from twisted_registry.domain.models import Chunk, VersionKey


@frozen
class _Held:
    """
    A version in the store.  Its readers share the chunks, and keep them alive after its eviction.
    """

    rank: EvictionRank
    chunks: tuple[Chunk, ...]
    size_bytes: int


@implementer(IPredictableStore, INonBlocking)
class MemoryStore:
    """
    A transient store in the memory of this process.
    """

    def __init__(self, budget: TransientBudget) -> None:
        self.max_bytes = budget.max_bytes
        self._max_items = budget.max_items
        self._lock = Lock()
        self._held: dict[VersionKey, _Held] = {}
        self._order: dict[EvictionRank, OrderedDict[VersionKey, None]] = {rank: OrderedDict() for rank in EvictionRank}
        self._rank_bytes: dict[EvictionRank, int] = dict.fromkeys(EvictionRank, 0)

    def create_version(self) -> "MemoryWriter":
        """See ``ITransientStore.create_version``."""
        return MemoryWriter(self)

    def open_version(self, key: VersionKey) -> "MemoryReader":
        """See ``ITransientStore.open_version``."""
        return MemoryReader(self._held[key].chunks)

    def set_rank(self, key: VersionKey, rank: EvictionRank) -> None:
        """See ``ITransientStore.set_rank``."""
        with self._lock:
            held = self._held.get(key)
            if held is None or held.rank == rank:
                return
            # Replaced, never removed in between: open_version looks it up without the lock.
            self._held[key] = _Held(rank, held.chunks, held.size_bytes)
            del self._order[held.rank][key]
            self._order[rank][key] = None
            self._rank_bytes[held.rank] -= held.size_bytes
            self._rank_bytes[rank] += held.size_bytes

    def touch(self, keys: Sequence[VersionKey]) -> None:
        """See ``ITransientStore.touch``."""
        with self._lock:
            for key in keys:
                held = self._held.get(key)
                if held is not None:
                    self._order[held.rank].move_to_end(key)

    def remove(self, keys: Sequence[VersionKey]) -> None:
        """See ``ITransientStore.remove``."""
        with self._lock:
            for key in keys:
                self._drop(key)

    def usage(self) -> Usage:
        """See ``ITransientStore.usage``."""
        with self._lock:
            return Usage(len(self._held), self._size_bytes)

    @property
    def _size_bytes(self) -> int:
        return sum(self._rank_bytes.values())

    def has_room(self, size_bytes: int, rank: EvictionRank) -> bool:
        """See ``ITransientStore.has_room``."""
        with self._lock:
            above = [higher for higher in EvictionRank if higher > rank]
            items = sum(len(self._order[higher]) for higher in above)
            used_bytes = sum(self._rank_bytes[higher] for higher in above)
            return items < self._max_items and used_bytes + size_bytes <= self.max_bytes

    def victims(self, size_bytes: int) -> list[VersionKey]:
        """See ``IPredictableStore.victims``."""
        with self._lock:
            items, used_bytes = len(self._held) + 1, self._size_bytes + size_bytes
            victims = []
            for key in (key for rank in EvictionRank if rank < EvictionRank.PINNED for key in self._order[rank]):
                if items <= self._max_items and used_bytes <= self.max_bytes:
                    break
                victims.append(key)
                items -= 1
                used_bytes -= self._held[key].size_bytes
            return victims

    def store(self, key: VersionKey, held: _Held) -> list[VersionKey]:
        """
        Store a version, and return the keys of those evicted for it.
        """
        with self._lock:
            self._drop(key)
            self._add(key, held)
            return list(self._evict())

    def _add(self, key: VersionKey, held: _Held) -> None:
        self._held[key] = held
        self._order[held.rank][key] = None
        self._rank_bytes[held.rank] += held.size_bytes

    def _evict(self) -> Iterator[VersionKey]:
        while len(self._held) > self._max_items or self._size_bytes > self.max_bytes:
            key = next(key for rank in EvictionRank for key in self._order[rank])
            self._drop(key)
            yield key

    def _drop(self, key: VersionKey) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            del self._order[held.rank][key]
            self._rank_bytes[held.rank] -= held.size_bytes


@implementer(ITransientWriter)
@define
class MemoryWriter:
    """
    A writer that collects the chunks of a version.
    """

    _store: MemoryStore
    _chunks: list[Chunk] = field(factory=list)

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        self._chunks.append(chunk)

    def commit(self, key: VersionKey, rank: EvictionRank) -> list[VersionKey]:
        """See ``ITransientWriter.commit``."""
        chunks = tuple(self._chunks)
        self._chunks.clear()
        return self._store.store(key, _Held(rank, chunks, sum(chunk.size_bytes for chunk in chunks)))

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self._chunks.clear()


@implementer(ITransientReader)
class MemoryReader:
    """
    A reader of a version's chunks, which all its readers share.
    """

    def __init__(self, chunks: tuple[Chunk, ...]) -> None:
        self._chunks = iter(chunks)

    def read(self) -> Chunk | None:
        """See ``ITransientReader.read``."""
        return next(self._chunks, None)

    def close(self) -> None:
        """See ``ITransientReader.close``."""
        self._chunks = iter(())
