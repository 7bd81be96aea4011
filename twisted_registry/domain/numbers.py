"""
The numbers of a model's versions: immutable, so that any thread may read them.
"""

from collections.abc import Iterable, Iterator, Sequence

from attrs import field, frozen

from twisted_registry.domain.sorted_tree import SortedTree


@frozen(eq=False)
class VersionNumbers:
    """
    The numbers of a model's versions, in ascending order, and which of them are transient.

    Versions of both kinds are added, promoted and removed anywhere.  Each of these changes takes O(log n) and returns
    new numbers, which share most of their memory with the old ones: it costs about the same at a hundred versions and
    at a hundred thousand.
    """

    _all: SortedTree[int, None] = field(factory=SortedTree)
    _transient: SortedTree[int, None] = field(factory=SortedTree)

    @classmethod
    def of_archived(cls, numbers: Sequence[int]) -> "VersionNumbers":
        """
        Return the numbers of archived versions.  This takes O(n), and almost no memory if there are no gaps.

        Args:
            numbers: the numbers, ascending.
        """
        if numbers and numbers[-1] - numbers[0] + 1 == len(numbers):
            numbers = range(numbers[0], numbers[-1] + 1)
        return cls(SortedTree.from_sorted(numbers))

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[int]:
        return self._all.ascending()

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number in self._all

    def is_transient(self, number: int) -> bool:
        """
        Return whether a transient version has this number.
        """
        return number in self._transient

    def at(self, index: int) -> int:
        """
        Return the number at a zero-based index.

        Raises:
            IndexError: there are fewer numbers, or the index is negative.
        """
        return self._all.at(index)

    @property
    def last(self) -> int | None:
        """
        The highest number; ``None`` if there is none.
        """
        return self._all.last

    def position(self, number: int) -> int:
        """
        Return the zero-based index of the first number that is not below the given one.
        """
        return self._all.position(number)

    def starting_at(self, number: int) -> Iterator[int]:
        """
        Iterate in ascending order over the numbers that are not below the given one.
        """
        return self._all.ascending(number)

    def ending_at(self, number: int | None = None) -> Iterator[int]:
        """
        Iterate in descending order over the numbers that are not above the given one, or over all.
        """
        return self._all.descending(number)

    def skipping(self, skip: int, after: int | None = None, *, is_descending: bool = False) -> Iterator[int]:
        """
        Iterate over the numbers without the first ones, which takes O(log n) to begin.

        Args:
            skip: how many to leave out.
            after: the number that those come after; ``None`` for all numbers.
            is_descending: whether the highest number comes first.
        """
        if is_descending:
            index = (len(self) if after is None else self.position(after)) - 1 - skip
            return iter(()) if index < 0 else self.ending_at(self.at(index))
        index = (0 if after is None else self.position(after + 1)) + skip
        return iter(()) if index >= len(self) else self.starting_at(self.at(index))

    def transient(self) -> Iterator[int]:
        """
        Iterate in ascending order over the numbers of the transient versions.
        """
        return self._transient.ascending()

    @property
    def transient_count(self) -> int:
        """
        The number of transient versions.
        """
        return len(self._transient)

    @property
    def last_transient(self) -> int | None:
        """
        The highest number of a transient version; ``None`` if there is none.
        """
        return self._transient.last

    def with_transient(self, number: int) -> "VersionNumbers":
        """
        Return these numbers and that of a new transient version.

        Raises:
            ValueError: there is a version with this number.
        """
        return VersionNumbers(self._all.insert(number), self._transient.insert(number))

    def with_archived(self, number: int) -> "VersionNumbers":
        """
        Return these numbers and that of a new archived version.

        Raises:
            ValueError: there is a version with this number.
        """
        return VersionNumbers(self._all.insert(number), self._transient)

    def with_all_archived(self, numbers: Iterable[int]) -> "VersionNumbers":
        """
        Return these numbers and those of many new archived versions, which takes O(n).

        Args:
            numbers: the new numbers, in any order; there are no versions with these numbers.
        """
        return VersionNumbers(SortedTree.from_sorted(sorted([*self._all, *numbers])), self._transient)

    def promoted(self, number: int) -> "VersionNumbers":
        """
        Return these numbers after the transient version with this number has become an archived one.

        Raises:
            KeyError: there is no transient version with this number.
        """
        return VersionNumbers(self._all, self._transient.remove(number))

    def without(self, number: int) -> "VersionNumbers":
        """
        Return these numbers without one, whether it is that of a transient version or of an archived one.

        Raises:
            KeyError: there is no version with this number.
        """
        transient = self._transient.remove(number) if number in self._transient else self._transient
        return VersionNumbers(self._all.remove(number), transient)
