"""
What the registry publishes of a model: frozen, so that any thread may read it without asking.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.models import VersionInfo, VersionKey


@frozen
class VersionNumbers:
    """
    The numbers of a model's versions, rising.

    Archived numbers only ever grow at the end, so all snapshots of a model share one list of them, each looking at its
    own length: publishing the next one costs the same at a hundred versions and at a hundred thousand.  The numbers of
    transient versions, few and evicted in any order, are a tuple of their own.

    Attributes:
        archived: sorted; entries from ``archived_count`` on belong to later snapshots.
        transient: sorted.
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
        Tell whether a number is that of a transient version.
        """
        index = bisect_left(self.transient, number)
        return index < len(self.transient) and self.transient[index] == number

    def at(self, index: int) -> int:
        """
        Give the number at a zero-based position of the whole order.

        Raises:
            IndexError: there are not so many.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        rank = bisect_left(range(len(self.transient)), index, key=self._position_of_transient)
        if rank < len(self.transient) and self._position_of_transient(rank) == index:
            return self.transient[rank]
        return self.archived[index - rank]

    def position(self, number: int) -> int:
        """
        Give the zero-based position of the first number that is not below the one given.
        """
        return bisect_left(self.archived, number, 0, self.archived_count) + bisect_left(self.transient, number)

    def starting_at(self, number: int) -> Iterator[int]:
        """
        Give the numbers from the one given on.
        """
        return (self.at(index) for index in range(self.position(number), len(self)))

    def _position_of_transient(self, rank: int) -> int:
        return rank + bisect_left(self.archived, self.transient[rank], 0, self.archived_count)

    def with_transient(self, number: int) -> "VersionNumbers":
        """
        Give these numbers and a new transient one, higher than all of them.
        """
        return evolve(self, transient=(*self.transient, number))

    def without_transient(self, number: int) -> "VersionNumbers":
        """
        Give these numbers without a transient one.
        """
        return evolve(self, transient=tuple(n for n in self.transient if n != number))


@frozen
class ModelSnapshot:
    """
    A model's versions at one moment.

    Attributes:
        incarnation: tells a model from an earlier one of the same id that was deleted.
        held: the infos of the versions in the transient store, copies of archived ones among them, by number.
        latest: the latest version's info; ``None`` where there is none or it is not read from the archive yet.
    """

    model_id: str
    incarnation: int
    numbers: VersionNumbers = field(factory=VersionNumbers)
    held: Mapping[int, VersionInfo] = field(factory=dict)
    latest: VersionInfo | None = None

    def key(self, number: int) -> VersionKey:
        """
        Give the process-wide name of one of the model's versions.
        """
        return VersionKey(self.model_id, self.incarnation, number)

    def select(self, selector: int) -> int:
        """
        Give the number a selector stands for: a number itself, or -n for the n-th to last of those that exist.

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
