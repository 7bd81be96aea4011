"""
An index of a model's versions: immutable, so that any thread may search it.
"""

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from twisted_registry.domain.fields import VERSION_FIELDS
from twisted_registry.domain.query import Order, OrderKey
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.sorted_tree import SortedTree

Records: TypeAlias = SortedTree[int, VersionRecord]
"""Versions by number."""

OrderTree: TypeAlias = SortedTree[Any, VersionRecord]
"""Versions by the value of a field and, where that is equal, by number."""

_Entry = tuple[Any, VersionRecord]

NUMBER = OrderKey(VERSION_FIELDS.tie_break)

_RUN_LENGTH = 1024
"""So many records are sorted at once.  A sort holds the interpreter's lock: of all records, it would be for long."""


def entry_key(order_key: OrderKey, record: VersionRecord) -> tuple[Any, ...]:
    """
    Return the key of a version in the tree of an order.
    """
    return Order((order_key, NUMBER)).key(record)


def sorted_records(records: Records, order_key: OrderKey) -> OrderTree:
    """
    Return the tree of an order, which takes O(n log n).
    """
    items = (record for _, record in records.ascending_items())
    merged = list(merge(*_runs(items, Order((order_key, NUMBER))), key=itemgetter(0)))
    return SortedTree.from_sorted([key for key, _ in merged], [record for _, record in merged])


def _runs(records: Iterator[VersionRecord | None], order: Order) -> Iterator[list[_Entry]]:
    while run := [(order.key(record), record) for record in islice(records, _RUN_LENGTH) if record is not None]:
        run.sort(key=itemgetter(0))
        yield run


def changed_order(
    tree: OrderTree, order_key: OrderKey, before: VersionRecord | None, after: VersionRecord | None
) -> OrderTree:
    """
    Return the tree of an order after a change of one version.

    Args:
        before: the version as the tree has it; ``None`` if it does not.
        after: the version as it is now; ``None`` if it is gone.
    """
    old = None if before is None else entry_key(order_key, before)
    new = None if after is None else entry_key(order_key, after)
    if old is not None and old == new:
        return tree.replace(new, after)
    if old is not None:
        tree = tree.remove(old)
    return tree if new is None else tree.insert(new, after)


@frozen(eq=False)
class VersionIndex:
    """
    The versions of a model by number, and sorted by the fields that orders begin with.

    A change takes O(log n) for each of these orders.

    Attributes:
        records: the versions by number.
        orders: the versions sorted by a field, for each that was asked for.
    """

    records: Records = field(factory=SortedTree)
    orders: Mapping[OrderKey, OrderTree] = field(factory=dict)

    def has_order(self, order_key: OrderKey) -> bool:
        """
        Return whether versions can be found in the order of a field.
        """
        return order_key.field == NUMBER.field or order_key in self.orders

    def with_record(self, record: VersionRecord) -> "VersionIndex":
        """
        Return the index with a version, which may be in it already as it was before.
        """
        before = self.records.get(record.number)
        change = self.records.insert if before is None else self.records.replace
        return VersionIndex(change(record.number, record), self._changed(before, record))

    def without(self, number: int) -> "VersionIndex":
        """
        Return the index without a version.

        Raises:
            KeyError: it is not in the index.
        """
        return VersionIndex(self.records.remove(number), self._changed(self.records.get(number), None))

    def _changed(self, before: VersionRecord | None, after: VersionRecord | None) -> Mapping[OrderKey, OrderTree]:
        if not self.orders:
            return self.orders
        return {key: changed_order(tree, key, before, after) for key, tree in self.orders.items()}

    def with_order(self, order_key: OrderKey, tree: OrderTree) -> "VersionIndex":
        """
        Return the index with one more order.

        Args:
            tree: the versions of this index in that order.
        """
        return evolve(self, orders={**self.orders, order_key: tree})

    def without_order(self, order_key: OrderKey) -> "VersionIndex":
        """
        Return the index without an order.
        """
        return evolve(self, orders={key: tree for key, tree in self.orders.items() if key != order_key})
