"""
Searches: the versions that match a query, found in an index step by step.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from twisted_registry.domain.query import OrderKey, Position, Query, Range
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.sorted_tree import SortedTree
from twisted_registry.domain.version_index import OrderTree, Records, VersionIndex, is_by_number

_Item = tuple[Any, Any]


class VersionSearch:
    """
    A search for the first versions of an index that match a query, after a position.

    It begins and ends where the filter limits the first field of the order.

    Attributes:
        found: the versions found so far, in order.
        matched: how many versions have matched so far, with those that were skipped.
        is_exhausted: whether it has looked at all versions.
    """

    def __init__(
        self, index: VersionIndex, query: Query, count: int, after: Position | None = None, skip: int = 0
    ) -> None:
        """

        Args:
            index: has the query's order.
            count: the most versions to find.
            after: the position of the last version of the page before; ``None`` to begin.
            skip: how many matches to leave out first.  Without a filter this takes O(log n).

        Raises:
            InvalidRequest: the position is not from the query's order.
        """
        self.found: list[VersionRecord] = []
        self.matched = 0
        self.is_exhausted = False
        self._matches = query.filter.matches
        self._wanted = count
        self._skip = skip if query.filter.cost else 0
        key = None if after is None else query.order.key_at(after)
        self._items = _walk(index, query, key) if query.filter.cost or not skip else _seek(index, query, key, skip)

    def step(self, most: int) -> bool:
        """
        Examine the next versions, at most so many.

        Returns:
            whether the search has ended.
        """
        examined = 0
        matches, found, wanted = self._matches, self.found, self._wanted
        for _, record in islice(self._items, most):
            examined += 1
            if matches(record):
                self.matched += 1
                if self.matched > self._skip:
                    found.append(record)
                    if len(found) == wanted:
                        return True
        self.is_exhausted = examined < most
        return self.is_exhausted


def _seek(index: VersionIndex, query: Query, after: tuple[Any, ...] | None, skip: int) -> Iterator[_Item]:
    """
    Iterate over all versions in the order of a query, without the first ones after a key.
    """
    by_number = is_by_number(query.order)
    tree: SortedTree[Any, VersionRecord] = index.records if by_number else index.tree(query.order)
    if by_number and query.order.keys[0].is_descending:
        stop = len(tree) if after is None else tree.position(-after[1])
        position = stop - 1 - skip
        return iter(()) if position < 0 else tree.descending_items(tree.at(position))
    last = after[1] if by_number and after is not None else after
    position = 0 if last is None else tree.position(last) + (last in tree)
    position += skip
    return iter(()) if position >= len(tree) else tree.ascending_items(tree.at(position))


def _walk(index: VersionIndex, query: Query, after: tuple[Any, ...] | None) -> Iterator[_Item]:
    values, first = query.seek_range, query.order.keys[0]
    if values.is_empty:
        return iter(())
    if is_by_number(query.order):
        return _by_number(index.records, first, values, None if after is None else after[1])
    return _by_value(index.tree(query.order), first, values, after)


def _by_number(records: Records, first: OrderKey, values: Range, after: Any) -> Iterator[_Item]:
    """
    Iterate over versions by number.

    Args:
        after: the number of the last version before, as the order compares it; ``None`` to begin.
    """
    if first.is_descending:
        start = _nearest(min, values.high, None if after is None else -after - 1)
        return _until_below(records.descending_items(start), values.low)
    start = _nearest(max, values.low, None if after is None else after + 1)
    return _until_above(records.ascending_items(start), values.high)


def _nearest(choose: Any, *starts: Any) -> Any:
    return choose((start for start in starts if start is not None), default=None)


def _until_below(items: Iterator[_Item], low: Any) -> Iterator[_Item]:
    for item in items:
        if low is not None and item[0] < low:
            return
        yield item


def _until_above(items: Iterator[_Item], high: Any) -> Iterator[_Item]:
    for item in items:
        if high is not None and item[0] > high:
            return
        yield item


def _by_value(tree: OrderTree, first: OrderKey, values: Range, after: tuple[Any, ...] | None) -> Iterator[_Item]:
    """
    Iterate over versions in an order.

    Args:
        after: the key of the last version before; ``None`` to begin.
    """
    low, high = (values.high, values.low) if first.is_descending else (values.low, values.high)
    # A short key comes before all keys that begin with it.
    starts: list[tuple[Any, ...]] = [] if low is None else [(False, first.comparable(low))]
    if after is not None:
        starts.append(after)
    items = tree.ascending_items(max(starts, default=None))
    if after is not None:
        items = _without_first(items, after)
    return _until_value(items, None if high is None else first.comparable(high), values.includes_absent)


def _without_first(items: Iterator[_Item], key: tuple[Any, ...]) -> Iterator[_Item]:
    first = next(items, None)
    return items if first is None or first[0] == key else chain([first], items)


def _until_value(items: Iterator[_Item], high: Any, includes_absent: bool) -> Iterator[_Item]:
    for item in items:
        is_absent, value, *_ = item[0]
        if (not includes_absent) if is_absent else (high is not None and value > high):
            return
        yield item
