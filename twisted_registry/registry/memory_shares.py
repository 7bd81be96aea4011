"""
The shares that quotas give models in the memory for versions.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence

from attrs import field, frozen

from twisted_registry.contracts.transient import EvictionRank
from twisted_registry.domain.errors import QuotaExceeded
from twisted_registry.domain.models import VersionKey
from twisted_registry.domain.quotas import Quota
from twisted_registry.domain.scope_map import ScopeMap


@frozen
class HeldVersion:
    """
    A version in memory.
    """

    rank: EvictionRank
    size_bytes: int


@frozen(eq=False)
class _Share:
    """
    The versions in memory that count towards one quota.

    Attributes:
        order: their keys by rank, each with its size; within a rank, the least recently used first.
        rank_bytes: their sizes, by rank.
    """

    quota: Quota
    order: dict[EvictionRank, OrderedDict[VersionKey, int]] = field(
        factory=lambda: {rank: OrderedDict() for rank in EvictionRank}
    )
    rank_bytes: dict[EvictionRank, int] = field(factory=lambda: dict.fromkeys(EvictionRank, 0))

    def add(self, key: VersionKey, held: HeldVersion) -> None:
        self.order[held.rank][key] = held.size_bytes
        self.rank_bytes[held.rank] += held.size_bytes

    def discard(self, key: VersionKey, held: HeldVersion) -> None:
        del self.order[held.rank][key]
        self.rank_bytes[held.rank] -= held.size_bytes

    def is_exceeded(self, size_bytes: int, count: int) -> bool:
        """
        Return whether so much would be too much.
        """
        most_bytes, most = self.quota.memory_bytes, self.quota.memory_versions
        return (most_bytes is not None and size_bytes > most_bytes) or (most is not None and count > most)

    def used(self, ranks: Collection[EvictionRank] = tuple(EvictionRank)) -> tuple[int, int]:
        """
        Return how many bytes and versions there are of some ranks.
        """
        return sum(self.rank_bytes[rank] for rank in ranks), sum(len(self.order[rank]) for rank in ranks)

    def candidates(self, rank: EvictionRank) -> Iterator[VersionKey]:
        """
        Iterate over the versions that are evicted before a new one of a rank, in this order.
        """
        for lower in EvictionRank:
            if lower <= rank:
                yield from self.order[lower]


class MemoryShares:
    """
    The versions that count towards quotas of memory.  If one is exceeded, versions of its models are evicted, in
    the order in which the store evicts.  Without such quotas this does nothing.

    Changed in the reactor's thread; ``check`` and ``has_room`` may be called in any thread.
    """

    def __init__(self) -> None:
        self.quotas: Sequence[Quota] = ()
        self._all: Sequence[_Share] = ()
        self._shares: ScopeMap[_Share] = ScopeMap()
        self._held: dict[VersionKey, HeldVersion] = {}

    def replace(self, quotas: Sequence[Quota], held: Iterable[tuple[VersionKey, HeldVersion]]) -> None:
        """
        Replace the quotas.  Nothing is evicted until a version comes.

        Args:
            held: what is in memory, the oldest first.
        """
        self.quotas = quotas
        self._all = [_Share(quota) for quota in quotas]
        self._held = {}
        # One assignment: other threads see all of them or none.
        self._shares = ScopeMap((scope, share) for share in self._all for scope in share.quota.reach)
        for key, version in held:
            self.add(key, version)

    # Called in any thread

    def check(self, model_id: str, size_bytes: int) -> None:
        """
        Check that a version can be in memory if others are evicted for it.

        Raises:
            QuotaExceeded: a share is smaller.
        """
        for share in self._shares.find(model_id):
            if share.is_exceeded(size_bytes, 1):
                raise QuotaExceeded(
                    share.quota.name,
                    f"memory_bytes = {share.quota.memory_bytes}",
                    f"the version alone has {size_bytes} bytes; create it archived",
                )

    def has_room(self, model_id: str, size_bytes: int) -> bool:
        """
        Return whether the copy of an archived version can be in memory if only other copies are evicted for it.
        """
        above = [rank for rank in EvictionRank if rank > EvictionRank.COPY]
        for share in self._shares.find(model_id):
            used_bytes, count = share.used(above)
            if share.is_exceeded(used_bytes + size_bytes, count + 1):
                return False
        return True

    # Called in the reactor's thread

    def victims(self, key: VersionKey, new: HeldVersion) -> list[VersionKey]:
        """
        Return which versions must be evicted for a new one: possibly the new one itself, after all others.
        """
        victims: dict[VersionKey, None] = {}
        for share in self._shares.find(key.model_id):
            self._choose(share, key, new, victims)
        return list(victims)

    def _choose(self, share: _Share, key: VersionKey, new: HeldVersion, victims: dict[VersionKey, None]) -> None:
        used_bytes, count = share.used()
        sizes = [self._held[victim].size_bytes for victim in victims if victim in share.order[self._held[victim].rank]]
        used_bytes, count = used_bytes + new.size_bytes - sum(sizes), count + 1 - len(sizes)
        candidates = share.candidates(new.rank)
        while share.is_exceeded(used_bytes, count):
            victim = next(candidates, key)
            if victim is key:
                victims[key] = None
                return
            if victim not in victims:
                victims[victim] = None
                used_bytes, count = used_bytes - self._held[victim].size_bytes, count - 1

    def add(self, key: VersionKey, version: HeldVersion) -> None:
        """
        Record that a version is in memory.
        """
        shares = self._shares.find(key.model_id)
        if shares:
            self.discard([key])
            self._held[key] = version
            for share in shares:
                share.add(key, version)

    def discard(self, keys: Iterable[VersionKey]) -> None:
        """
        Record that versions have left memory.
        """
        for key in keys:
            held = self._held.pop(key, None)
            if held is not None:
                for share in self._shares.find(key.model_id):
                    share.discard(key, held)

    def touch(self, keys: Iterable[VersionKey]) -> None:
        """
        Record that versions were used, in this order.
        """
        for key in keys:
            held = self._held.get(key)
            if held is not None:
                for share in self._shares.find(key.model_id):
                    share.order[held.rank].move_to_end(key)

    def set_rank(self, key: VersionKey, rank: EvictionRank) -> None:
        """
        Record a version's rank.
        """
        held = self._held.get(key)
        if held is not None and held.rank is not rank:
            self.add(key, HeldVersion(rank, held.size_bytes))

    def used(self) -> dict[str, tuple[int, int]]:
        """
        Return how many bytes and versions each quota has in memory, by its name.
        """
        return {share.quota.name: share.used() for share in self._all}
