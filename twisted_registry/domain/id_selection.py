"""
Selections from sorted lists of ids, by ids and prefixes.

In a sorted list the ids with a prefix stand next to each other.  So a selection is a few ranges of the list, each found
by bisection, and its cost does not depend on the length of the list.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import overload


class IdSelection:
    """
    Ids and prefixes, prepared to select from sorted lists.
    """

    def __init__(self, ids: Iterable[str], prefixes: Iterable[str]) -> None:
        # A prefix precedes everything that begins with it, and makes it unnecessary.
        self._parts: list[tuple[str, bool]] = []
        parts = [*((text, False) for text in ids), *((text, True) for text in prefixes)]
        for text, is_prefix in sorted(parts, key=lambda part: (part[0], not part[1])):
            last, is_last_prefix = self._parts[-1] if self._parts else ("", False)
            if not (is_last_prefix and text.startswith(last)):
                self._parts.append((text, is_prefix))

    def select(self, listed: Sequence[str]) -> "SelectedIds":
        """
        Return the selected ids of a sorted list.
        """
        selected = SelectedIds(listed)
        start = 0
        for text, is_prefix in self._parts:
            start = bisect_left(listed, text, start)
            if is_prefix:
                length = len(text)
                stop = bisect_right(listed, text, start, key=lambda each: each[:length])
            else:
                stop = start + (start < len(listed) and listed[start] == text)
            selected.append(start, stop)
            start = stop
        return selected


class SelectedIds(Sequence[str]):
    """
    Ranges of a sorted list, as one list.
    """

    def __init__(self, listed: Sequence[str]) -> None:
        self._listed = listed
        self._starts: list[int] = []
        self._ends: list[int] = []  # of the ranges, in this list
        self._length = 0

    def append(self, start: int, stop: int) -> None:
        """
        Add a range of the list, behind those added before.
        """
        if start < stop:
            self._length += stop - start
            self._starts.append(start)
            self._ends.append(self._length)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            return list(self._within(start, stop)) if step == 1 else [self[each] for each in range(start, stop, step)]
        position = index + self._length if index < 0 else index
        if not 0 <= position < self._length:
            raise IndexError(f"there are {self._length} ids, and none at {index}")
        return next(self._within(position, position + 1))

    def __iter__(self) -> Iterator[str]:
        return self._within(0, self._length)

    def _within(self, start: int, stop: int) -> Iterator[str]:
        number = bisect_right(self._ends, start)
        while start < stop:
            end = min(self._ends[number], stop)
            # The range is this much further behind in the whole list than in this one.
            before = self._ends[number - 1] if number else 0
            shift = self._starts[number] - before
            yield from self._listed[start + shift : end + shift]
            start, number = end, number + 1
