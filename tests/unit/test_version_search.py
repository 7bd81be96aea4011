"""
Tests of searches in an index, beside a search that looks at every version.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import evolve
from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.records import query, version
from tests.unit.test_query import EXAMPLES, Naive, naive_filters, naive_sorted, orders
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.query import Order, Query
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.search import VersionSearch
from twisted_registry.domain.sorted_tree import SortedTree
from twisted_registry.domain.version_index import VersionIndex, sorted_records

Keys = Sequence[tuple[str, bool]]


def order_text(keys: Keys) -> str:
    """
    Write an order.
    """
    return ", ".join(name + (" desc" if is_descending else "") for name, is_descending in keys)


def index_of(records: Iterable[VersionRecord], *all_orders: Order) -> VersionIndex:
    """
    Make an index of versions, in any order.
    """
    ascending = sorted(records, key=lambda each: each.number)
    index = VersionIndex(SortedTree.from_sorted([each.number for each in ascending], ascending))
    for order in all_orders:
        index = index.with_order(order, sorted_records(index.records, order))
    return index


def pages(index: VersionIndex, found: Query, length: int, step: int) -> list[VersionRecord]:
    """
    Search page by page.
    """
    records: list[VersionRecord] = []
    after = None
    while True:
        search = VersionSearch(index, found, length, after)
        while not search.step(step):
            pass
        assert len(search.found) <= length
        records += search.found
        if len(search.found) < length:
            return records
        after = found.order.position(records[-1])


class SearchTests(SynchronousTestCase):
    """
    Searches find what a plain evaluator finds.
    """

    @given(naive_filters, orders, st.integers(1, 12), st.integers(1, 50))
    @settings(max_examples=300, deadline=None)
    def test_pages(self, naive: Naive, keys: Keys, length: int, step: int) -> None:
        """
        All pages together are the matches, in order.
        """
        text, is_match = naive
        found = query(text, order_text(keys))
        index = index_of(EXAMPLES, found.order)
        expected = naive_sorted(keys, [each for each in EXAMPLES if is_match(each)])
        self.assertEqual(pages(index, found, length, step), expected)

    @given(naive_filters | st.just(("", lambda record: True)), orders, st.integers(0, 12), st.integers(0, 60))
    @settings(max_examples=300, deadline=None)
    def test_skip(self, naive: Naive, keys: Keys, length: int, skip: int) -> None:
        """
        Matches are left out from the beginning, or after a page; then the search goes on as without them.
        """
        text, is_match = naive
        found = query(text, order_text(keys))
        index = index_of(EXAMPLES, found.order)
        expected = naive_sorted(keys, [each for each in EXAMPLES if is_match(each)])
        after = found.order.position(expected[length - 1]) if 0 < length <= len(expected) else None
        search = VersionSearch(index, found, 5, after, skip)
        while not search.step(7):
            pass
        begin = skip if after is None else length + skip
        self.assertEqual(search.found, expected[begin : begin + 5])

    def test_count(self) -> None:
        """
        A search that skips everything counts the matches.
        """
        found = query("number > 90 AND metrics.x < 300", "metrics.x")
        index = index_of((version(number, metrics={"x": float(number)}) for number in range(1, 1001)), found.order)
        search = VersionSearch(index, found, 1, skip=10**9)
        while not search.step(100):
            pass
        self.assertEqual((search.found, search.matched, search.is_exhausted), ([], 209, True))

    def test_skip_looks_at_few(self) -> None:
        """
        Without a filter nothing is examined to skip versions.
        """
        for order in ("", "number desc", "metrics.x desc"):
            found = query("", order)
            index = index_of((version(number, metrics={"x": -float(number)}) for number in range(1, 1001)), found.order)
            search = VersionSearch(index, found, 2, skip=700)
            self.assertTrue(search.step(2))
            numbers = [299 + 1, 299] if order == "number desc" else [701, 702]
            self.assertEqual([record.number for record in search.found], numbers)

    def test_few_are_examined(self) -> None:
        """
        A bound on the first field of the order is where the search begins and ends.
        """
        index = index_of(version(number, metrics={"x": float(number)}) for number in range(1, 1001))
        for text, order, numbers in (
            ("metrics.x > 500 AND metrics.x < 504", "metrics.x", [501, 502, 503]),
            ("metrics.x > 500 AND metrics.x < 504", "metrics.x desc", [503, 502, 501]),
            ("number > 500 AND number < 504", "number", [501, 502, 503]),
            ("number > 500 AND number < 504", "number desc", [503, 502, 501]),
        ):
            found = query(text, order)
            tree = sorted_records(index.records, found.order)
            whole = index if index.has_order(found.order) else index.with_order(found.order, tree)
            search = VersionSearch(whole, found, 10)
            self.assertTrue(search.step(6), text)
            self.assertEqual([each.number for each in search.found], numbers)


class ChangeTests(SynchronousTestCase):
    """
    An index that was changed is the same as one made of all versions.
    """

    @given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([None, 0.0, 1.0, -2.5]), st.booleans()), max_size=60))
    @settings(deadline=None)
    def test_changes(self, changes: list[tuple[int, float | None, bool]]) -> None:
        """
        Versions are added, replaced and removed in every order, whether or not somebody searches in between.
        """
        all_orders = [query("", text).order for text in ("metrics.x", "metrics.x desc", "labels.env desc, metrics.x")]
        index = index_of([], *all_orders)
        expected: dict[int, VersionRecord] = {}
        for number, value, is_searched in changes:
            if is_searched:
                self.assertEqual(list(index.records), sorted(expected))
            if number in expected and value is None:
                del expected[number]
                index = index.without(number)
                continue
            record = expected.get(number) or version(number, labels={"env": "ab"[number % 2]})
            metrics: dict[str, Any] = {} if value is None else {"x": value}
            expected[number] = evolve(record, annotations=Annotations(record.labels, metrics))
            index = index.with_record(expected[number])
        self.assertEqual([index.get(number) for number in range(31)], [expected.get(number) for number in range(31)])
        fresh = index_of(expected.values(), *all_orders)
        self.assertEqual(list(index.records.ascending_items()), list(fresh.records.ascending_items()))
        for order in all_orders:
            self.assertEqual(list(index.tree(order).ascending_items()), list(fresh.tree(order).ascending_items()))

    def test_many(self) -> None:
        """
        Many changes without a search in between are in the index, and earlier indexes stay as they were.
        """
        by_x = query("", "metrics.x desc").order
        indexes = [index_of([version(1)], by_x)]
        for number in range(2, 400):
            indexes.append(indexes[-1].with_record(version(number, metrics={"x": float(number)})))
        for number in range(1, 300):
            indexes.append(indexes[-1].without(number))
        self.assertEqual(
            [record.number for _, record in indexes[-1].tree(by_x).ascending_items() if record][:2], [399, 398]
        )
        self.assertEqual([len(index.records) for index in indexes], [*range(1, 400), *range(398, 99, -1)])
        self.assertEqual([len(index.tree(by_x)) for index in indexes], [*range(1, 400), *range(398, 99, -1)])
        self.assertRaises(KeyError, indexes[-1].without, 1)

    def test_orders(self) -> None:
        """
        Versions are in the order of their number without further ado, and in others once these are added.
        """
        index = index_of(EXAMPLES)
        by_number, by_size = (query("", text).order for text in ("number desc", "size_bytes"))
        self.assertTrue(index.has_order(by_number))
        self.assertFalse(index.has_order(by_size))
        index = index.with_order(by_size, sorted_records(index.records, by_size))
        self.assertTrue(index.has_order(by_size))
        self.assertFalse(index.without_order(by_size).has_order(by_size))
