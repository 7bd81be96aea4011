"""
The ranks of transient versions, which decide in which order they are evicted.
"""

from attrs import frozen

from twisted_registry.contracts.transient import EvictionRank
from twisted_registry.domain.models import VersionKey
from twisted_registry.domain.numbers import VersionNumbers
from twisted_registry.domain.snapshot import ModelSnapshot


@frozen
class RankChange:
    """
    A change of a version's rank.
    """

    key: VersionKey
    before: EvictionRank
    after: EvictionRank


@frozen
class RankRules:
    """
    The rules for ranks.

    Attributes:
        keep_per_model: how many of the newest versions of each model, at least 1, are evicted after all others.  The
            latest of all models are evicted after the other ones of these.
    """

    keep_per_model: int = 1

    def rank(self, numbers: VersionNumbers, number: int) -> EvictionRank:
        """
        Return the rank of a version; that of a copy if it is not transient.
        """
        if not numbers.is_transient(number):
            return EvictionRank.COPY
        if number == numbers.last:
            return EvictionRank.LATEST
        is_recent = len(numbers) <= self.keep_per_model or number >= numbers.at(len(numbers) - self.keep_per_model)
        return EvictionRank.RECENT if is_recent else EvictionRank.SUPERSEDED

    def lowered(self, snapshot: ModelSnapshot) -> list[RankChange]:
        """
        Return the changes that the next commit of a model makes.
        """
        numbers, keep = snapshot.numbers, self.keep_per_model
        changes = []
        last = numbers.last
        if last is not None and numbers.is_transient(last):
            after = EvictionRank.RECENT if keep > 1 else EvictionRank.SUPERSEDED
            changes.append(RankChange(snapshot.key(last), EvictionRank.LATEST, after))
        if 1 < keep <= len(numbers):
            oldest = numbers.at(len(numbers) - keep)
            if numbers.is_transient(oldest):
                changes.append(RankChange(snapshot.key(oldest), EvictionRank.RECENT, EvictionRank.SUPERSEDED))
        return changes

    def raised(self, snapshot: ModelSnapshot) -> list[tuple[VersionKey, EvictionRank]]:
        """
        Return the ranks that versions have after others of their model were deleted.
        """
        numbers = snapshot.numbers
        first = max(0, len(numbers) - self.keep_per_model)
        newest = [numbers.at(index) for index in range(first, len(numbers))] if numbers.transient_count else []
        transient = filter(numbers.is_transient, newest)
        return [(snapshot.key(number), self.rank(numbers, number)) for number in transient]
