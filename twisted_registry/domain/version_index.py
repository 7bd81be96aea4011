"""
An index of a model's versions: immutable, so that any thread may search it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from attrs import field, frozen

from twisted_registry.domain.fields import VERSION_FIELDS
from twisted_registry.domain.query import Order
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.sorted_tree import SortedTree

Records: TypeAlias = SortedTree[int, VersionRecord]
"""Versions by number."""

OrderTree: TypeAlias = SortedTree[Any, VersionRecord]
"""Versions by their keys in an order."""

T = TypeVar("T")

_Key = tuple[Any, ...]

_RUN_LENGTH = 256
"""So many records are sorted at once, and taken between pauses.  A sort holds the interpreter's lock: of all records,
for long."""


_MOST_CHANGES = 128
"""So many changes are kept beside the trees: a usual cache has fewer transient versions.  A search applies them first,
which takes one to two milliseconds for each order."""


def is_by_number(order: Order) -> bool:
    """
    Return whether an order is that of the numbers, in either direction.
    """
    return order.keys[0].field == VERSION_FIELDS.tie_break


def sorted_records(records: Records, order: Order, pause: Callable[[], None] = lambda: None) -> OrderTree:
    """
    Return the tree of an order, which takes O(n log n).

    Args:
        pause: called now and then, so that other threads can run.
    """
    all_records = (record for _, record in records.ascending_items())
    runs = [_run(part, order) for part in _parts(all_records, pause)]
    keys = [key for part in _parts(merge(*runs), pause) for key in part]
    found = [records.get(number) for part in _parts(_numbers(keys, order), pause) for number in part]
    return SortedTree.from_sorted(keys, found)


def _parts(items: Iterator[T], pause: Callable[[], None]) -> Iterator[list[T]]:
    while part := list(islice(items, _RUN_LENGTH)):
        yield part
        pause()


def _run(records: Sequence[VersionRecord | None], order: Order) -> list[_Key]:
    return sorted([order.key(record) for record in records])


def _numbers(keys: Sequence[_Key], order: Order) -> Iterator[int]:
    # To keep each record beside its key would make many more objects, at which the garbage collector looks.
    place = next(place for place, key in enumerate(order.keys) if key.field == VERSION_FIELDS.tie_break)
    return (abs(each[2 * place + 1]) for each in keys)


def changed_order(
    tree: OrderTree, order: Order, before: VersionRecord | None, after: VersionRecord | None
) -> OrderTree:
    """
    Return the tree of an order after a change of one version.

    Args:
        before: the version as the tree has it; ``None`` if it does not.
        after: the version as it is now; ``None`` if it is gone.
    """
    old = None if before is None else order.key(before)
    new = None if after is None else order.key(after)
    if old is not None and old == new:
        return tree.replace(new, after)
    if old is not None:
        tree = tree.remove(old)
    return tree if new is None else tree.insert(new, after)


@frozen(eq=False)
class VersionIndex:
    """
    The versions of a model by number, and in other orders.

    A few changes are kept beside the trees until somebody searches: most transient versions are gone before that.
    Then each takes O(log n) for each order.
    """

    _records: Records = field(factory=SortedTree)
    _orders: Mapping[Order, OrderTree] = field(factory=dict)
    _changes: Mapping[int, VersionRecord | None] = field(factory=dict)
    _applied: "list[VersionIndex]" = field(factory=list, init=False)

    @property
    def records(self) -> Records:
        """
        The versions by number.
        """
        return self._current()._records

    @property
    def orders(self) -> Mapping[Order, OrderTree]:
        """
        The versions in each order that was asked for.
        """
        return self._current()._orders

    @property
    def ordered_fields(self) -> int:
        """
        About how many values of fields all orders have together.
        """
        return sum(len(order.keys) for order in self._orders) * len(self._records)

    @property
    def pending(self) -> int:
        """
        How many changes of trees the next search makes first.  Each takes about ten microseconds.
        """
        return 0 if self._applied else len(self._changes) * (1 + len(self._orders))

    def apply(self) -> None:
        """
        Make the pending changes, so that the next search finds them made.  May be called in any thread.
        """
        self._current()

    def get(self, number: int) -> VersionRecord | None:
        """
        Return a version; ``None`` if it is not in the index.
        """
        changes = self._changes
        return changes[number] if number in changes else self._records.get(number)

    def has_order(self, order: Order) -> bool:
        """
        Return whether versions can be found in an order.
        """
        return is_by_number(order) or order in self._orders

    def tree(self, order: Order) -> OrderTree:
        """
        Return the versions in an order.

        Raises:
            KeyError: the index does not have it, or it is by number.
        """
        return self.orders[order]

    def with_record(self, record: VersionRecord) -> "VersionIndex":
        """
        Return the index with a version, which may be in it already as it was before.
        """
        return self._changed(record.number, record)

    def without(self, number: int) -> "VersionIndex":
        """
        Return the index without a version.

        Raises:
            KeyError: it is not in the index.
        """
        if self.get(number) is None:
            raise KeyError(number)
        return self._changed(number, None)

    def with_order(self, order: Order, tree: OrderTree) -> "VersionIndex":
        """
        Return the index with one more order.

        Args:
            tree: the versions of this index in that order.
        """
        return VersionIndex(self.records, {**self.orders, order: tree})

    def without_order(self, order: Order) -> "VersionIndex":
        """
        Return the index without an order.
        """
        return VersionIndex(self.records, {other: tree for other, tree in self.orders.items() if other != order})

    def _changed(self, number: int, record: VersionRecord | None) -> "VersionIndex":
        base = self._applied[0] if self._applied else self
        changes = {**base._changes, number: record}
        if record is None and base._records.get(number) is None:
            del changes[number]
        changed = VersionIndex(base._records, base._orders, changes)
        return changed if len(changes) < _MOST_CHANGES else changed._current()

    def _current(self) -> "VersionIndex":
        """
        Return the index with all changes in its trees.  If two threads make it at once, either is as good.
        """
        if not self._changes:
            return self
        if not self._applied:
            self._applied.append(self._apply())
        return self._applied[0]

    def _apply(self) -> "VersionIndex":
        records, orders = self._records, dict(self._orders)
        for number, after in self._changes.items():
            before = records.get(number)
            for order, tree in orders.items():
                orders[order] = changed_order(tree, order, before, after)
            if after is None:
                records = records.remove(number)
            else:
                records = (records.insert if before is None else records.replace)(number, after)
        return VersionIndex(records, orders)
