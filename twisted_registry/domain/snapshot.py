"""
Snapshots of a model's versions: frozen, so that any thread may read them.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge

from attrs import evolve, field, frozen

from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.models import VersionInfo, VersionKey


@frozen
class VersionNumbers:
    """
    The numbers of a model's versions, in ascending order.

    Archived numbers are only ever appended, so that all snapshots of a model share one list and each uses a prefix of
    it: publishing the next number costs the same at a hundred versions and at a hundred thousand.  The numbers of
    transient versions are few and are evicted in any order, so that they are a separate tuple.

    Attributes:
        archived: archived numbers, ascending; those from index ``archived_count`` on belong to later snapshots.
        archived_count: how many of them this snapshot has.
        transient: transient numbers, ascending.
    """

    archived: Sequence[int] = ()
    archived_count: int = 0
    transient: tuple[int, ...] = ()

    def __len__(self) -> int:
        return self.archived_count + len(self.transient)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        index = bisect_left(self.archived, number, 0, self.archived_count)
        return (index < self.archived_count and self.archived[index] == number) or self.is_transient(number)

    def is_transient(self, number: int) -> bool:
        """
        Return whether a transient version has this number.
        """
        index = bisect_left(self.transient, number)
        return index < len(self.transient) and self.transient[index] == number

    def at(self, index: int) -> int:
        """
        Return the number at a zero-based index of all numbers.

        Raises:
            IndexError: there are fewer numbers.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        rank = bisect_left(range(len(self.transient)), index, key=self._position_of_transient)
        if rank < len(self.transient) and self._position_of_transient(rank) == index:
            return self.transient[rank]
        return self.archived[index - rank]

    def position(self, number: int) -> int:
        """
        Return the zero-based index of the first number that is not below the given one.
        """
        return bisect_left(self.archived, number, 0, self.archived_count) + bisect_left(self.transient, number)

    def starting_at(self, number: int) -> Iterator[int]:
        """
        Iterate over the numbers that are not below the given one.
        """
        # The list is shared, and may grow meanwhile.
        indexes = range(bisect_left(self.archived, number, 0, self.archived_count), self.archived_count)
        archived = map(self.archived.__getitem__, indexes)
        transient = self.transient[bisect_left(self.transient, number) :]
        return merge(archived, transient) if indexes and transient else iter(transient or archived)

    def _position_of_transient(self, rank: int) -> int:
        return rank + bisect_left(self.archived, self.transient[rank], 0, self.archived_count)

    def with_transient(self, number: int) -> "VersionNumbers":
        """
        Return these numbers and a new transient one, which is higher than all of them.
        """
        return evolve(self, transient=(*self.transient, number))

    def without_transient(self, number: int) -> "VersionNumbers":
        """
        Return these numbers without a transient one.
        """
        return evolve(self, transient=tuple(n for n in self.transient if n != number))


@frozen
class ModelSnapshot:
    """
    A model's versions at one point in time.

    Attributes:
        model_id: the model's id.
        incarnation: distinguishes a model from a deleted one with the same id.
        numbers: the numbers of all versions.
        held: the infos of the versions in the transient store, including copies of archived ones, by number.
        latest: the latest version's info; ``None`` if there is no version or it was not read from the archive yet.
    """

    model_id: str
    incarnation: int
    numbers: VersionNumbers = field(factory=VersionNumbers)
    held: Mapping[int, VersionInfo] = field(factory=dict)
    latest: VersionInfo | None = None

    def key(self, number: int) -> VersionKey:
        """
        Return the key of one of the model's versions.
        """
        return VersionKey(self.model_id, self.incarnation, number)

    def select(self, selector: int) -> int:
        """
        Return the number of the version that a selector selects: the number itself, or -n for the n-th to last version.

        Raises:
            UnknownVersion: there is no such version.
        """
        if selector == -1 and self.latest is not None:
            return self.latest.version_number
        if selector < 0 and -selector <= len(self.numbers):
            return self.numbers.at(len(self.numbers) + selector)
        if selector in self.numbers:
            return selector
        raise UnknownVersion(self.model_id, selector)
