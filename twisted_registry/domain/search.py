"""
Searches: the versions that match a query, found in an index step by step.
"""

from collections.abc import Iterator
from heapq import nsmallest
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from twisted_registry.domain.query import OrderKey, Position, Query, Range
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.version_index import NUMBER, OrderTree, Records, VersionIndex

_Item = tuple[Any, Any]

_MOST_IN_GROUP = 4096
"""So many candidates of equal first value are kept, in addition to those wanted, before the worst are dropped."""


class VersionSearch:
    """
    A search for the first versions of an index that match a query, after a position.

    It walks along the tree of the order's first field.  If the order has further fields, versions with the same
    first value are sorted by these when all of them are known.

    Attributes:
        found: the versions found so far, in order.
    """

    def __init__(self, index: VersionIndex, query: Query, count: int, after: Position | None = None) -> None:
        """

        Args:
            index: has the order of the query's first field.
            count: the most versions to find.
            after: the position of the last version of the page before; ``None`` to begin.

        Raises:
            InvalidRequest: the position is not from the query's order.
        """
        self.found: list[VersionRecord] = []
        self._query = query
        self._count = count
        self._after = None if after is None else query.order.key_at(after)
        keys = query.order.keys
        self._is_grouped = keys[0].field != NUMBER.field and keys[1:] != (NUMBER,)
        self._group_key: Any = None
        self._group: list[tuple[Any, VersionRecord]] = []
        self._items = self._walk(index, keys[0], query.seek_range)

    def _walk(self, index: VersionIndex, first: OrderKey, values: Range) -> Iterator[_Item]:
        if values.is_empty:
            return iter(())
        if first.field == NUMBER.field:
            after = None if self._after is None else self._after[1]
            return _by_number(index.records, first, values, after)
        return _by_value(index.orders[first], first, values, self._after, self._is_grouped)

    def step(self, most: int) -> bool:
        """
        Examine the next versions, at most so many.

        Returns:
            whether the search has ended.
        """
        items = list(islice(self._items, most))
        matches, add = self._query.filter.matches, self._add_to_group if self._is_grouped else self._add
        for key, record in items:
            if self._is_grouped and key[:2] != self._group_key:
                self._end_group()
                self._group_key = key[:2]
            if len(self.found) == self._count:
                return True
            if matches(record):
                add(record)
        if len(items) == most:
            return False
        self._end_group()
        return True

    def _add(self, record: VersionRecord) -> None:
        self.found.append(record)

    def _add_to_group(self, record: VersionRecord) -> None:
        key = self._query.order.key(record)
        if self._after is not None and key <= self._after:
            return
        self._group.append((key, record))
        wanted = self._count - len(self.found)
        if len(self._group) >= wanted + _MOST_IN_GROUP:
            self._group = nsmallest(wanted, self._group, key=itemgetter(0))

    def _end_group(self) -> None:
        self._group.sort(key=itemgetter(0))
        self.found += [record for _, record in self._group[: self._count - len(self.found)]]
        self._group = []


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


def _by_value(
    tree: OrderTree, first: OrderKey, values: Range, after: tuple[Any, ...] | None, is_grouped: bool
) -> Iterator[_Item]:
    """
    Iterate over versions by the value of a field.

    Args:
        after: the key of the last version before; ``None`` to begin.
        is_grouped: begin with all versions whose value is that version's.
    """
    low, high = (values.high, values.low) if first.is_descending else (values.low, values.high)
    starts: list[tuple[Any, ...]] = [] if low is None else [(False, first.comparable(low))]
    if after is not None:
        # The shorter key comes before all keys that begin with it.
        starts.append(after[:2] if is_grouped else after)
    items = tree.ascending_items(max(starts, default=None))
    if after is not None and not is_grouped:
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
