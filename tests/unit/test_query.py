"""
Queries: filters and orders together, and what an index needs of them.
"""

import json
import re
from collections.abc import Callable, Sequence
from math import inf, isnan, nan
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.records import NOW_NS, NS, query, version
from twisted_registry.domain.errors import InvalidFilter, InvalidRequest
from twisted_registry.domain.fields import MODEL_FIELDS, VERSION_FIELDS
from twisted_registry.domain.query import Query, Range, parse_order
from twisted_registry.domain.records import VersionRecord

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "filters.md"

EXAMPLES = [
    version(
        number,
        created_ns=NOW_NS - number % 4 * 3600 * NS,
        archived=bool(number % 2),
        size_bytes=number % 3,
        labels={"env": "ab"[number % 2]} if number % 3 else {},
        metrics={"return": [0.0, -1.5, inf, nan, 7.0][number % 5]} if number % 4 else {},
        aliases=["production"] if number == 5 else [],
    )
    for number in range(1, 41)
]

Naive = tuple[str, Callable[[VersionRecord], bool]]


def naive_comparison(field: str, get: Callable[[VersionRecord], Any], operator: str, literal: tuple[str, Any]) -> Naive:
    """
    Return a comparison as text, and as a function that follows the rules one by one.
    """
    text, expected = literal

    def is_true(record: VersionRecord) -> bool:
        value = get(record)
        if value is None or (isinstance(value, float) and isnan(value)):
            return False
        results = {
            "=": value == expected,
            "!=": value != expected,
            "<": value < expected,
            "<=": value <= expected,
            ">": value > expected,
            ">=": value >= expected,
        }
        return bool(results[operator])

    return f"{field} {operator} {text}", is_true


operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
numbers = st.sampled_from([-2, -1.5, 0, 1, 2, 7, 20, 1e400]).map(
    lambda value: ("Infinity" if value == inf else f"{value}", value)
)
texts = st.sampled_from(["", "a", "b", "c"]).map(lambda value: (f'"{value}"', value))
comparisons: "st.SearchStrategy[Naive]" = st.one_of(
    st.builds(naive_comparison, st.just("number"), st.just(lambda each: each.number), operators, numbers),
    st.builds(naive_comparison, st.just("size_bytes"), st.just(lambda each: each.size_bytes), operators, numbers),
    st.builds(
        naive_comparison,
        st.just("metrics.return"),
        st.just(lambda each: each.metrics.get("return")),
        operators,
        numbers,
    ),
    st.builds(naive_comparison, st.just("labels.env"), st.just(lambda each: each.labels.get("env")), operators, texts),
    st.sampled_from(
        [
            ("archived", lambda each: each.archived),
            ("aliases:production", lambda each: "production" in each.aliases),
            ("labels.env:*", lambda each: "env" in each.labels),
            ("labels:env", lambda each: "env" in each.labels),
        ]
    ),
)


def joined(word: str, parts: list[Naive]) -> Naive:
    """
    Join filters in parentheses.
    """
    combine = all if word == "AND" else any
    return f" {word} ".join(f"({part[0]})" for part in parts), lambda record: combine(part[1](record) for part in parts)


naive_filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(joined, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=4)),
        inner.map(lambda each: (f"NOT ({each[0]})", lambda record: not each[1](record))),
        inner.map(lambda each: (f"-({each[0]})", lambda record: not each[1](record))),
    ),
    max_leaves=8,
)
order_fields = {
    "number": lambda each: each.number,
    "created": lambda each: each.created_ns,
    "archived": lambda each: each.archived,
    "size_bytes": lambda each: each.size_bytes,
    "metrics.return": lambda each: each.metrics.get("return"),
    "labels.env": lambda each: each.labels.get("env"),
}
orders = st.lists(
    st.tuples(st.sampled_from(sorted(order_fields)), st.booleans()), max_size=3, unique_by=lambda each: each[0]
)


def naive_sorted(keys: Sequence[tuple[str, bool]], records: Sequence[VersionRecord]) -> list[VersionRecord]:
    """
    Sort by one field after another, the least important first.
    """
    found = sorted(records, key=lambda each: each.number)
    for name, is_descending in reversed(keys):
        get = order_fields[name]
        present = [each for each in found if get(each) is not None and get(each) == get(each)]
        absent = [each for each in found if each not in present]
        found = sorted(present, key=get, reverse=is_descending) + absent
    return found


class NaiveTests(SynchronousTestCase):
    """
    Queries beside evaluators that are slow and plain.
    """

    @given(naive_filters, orders)
    @settings(max_examples=300, deadline=None)
    def test_queries(self, naive: Naive, keys: list[tuple[str, bool]]) -> None:
        """
        A query returns what the plain evaluators return, and its range covers it.
        """
        text, is_match = naive
        order = ", ".join(name + (" desc" if is_descending else "") for name, is_descending in keys)
        found = query(text, order)
        selected = found.select(EXAMPLES)
        self.assertEqual(selected, naive_sorted(keys, [each for each in EXAMPLES if is_match(each)]))
        self.assertEqual(sorted(Random(0).sample(selected, len(selected)), key=found.order.key), selected)
        first = found.order.keys[0].field
        for record in selected:
            self.assertTrue(is_in(found.seek_range, first.get(record)), (text, order, record))


def is_in(values: Range, value: Any) -> bool:
    """
    Return whether a value is in a range.
    """
    if value is None or value != value:  # noqa: PLR0124
        return values.includes_absent
    if values.is_empty:
        return False
    is_above = values.low is None or value > values.low or (values.includes_low and value == values.low)
    is_below = values.high is None or value < values.high or (values.includes_high and value == values.high)
    return bool(is_above and is_below)


class OrderTests(SynchronousTestCase):
    """
    Orders.
    """

    def numbers(self, text: str) -> list[int]:
        """
        Return the numbers of some versions in an order.
        """
        values = {1: 3.0, 2: None, 3: nan, 4: 5.0, 5: -inf, 6: 3.0}
        records = [version(each, metrics={} if value is None else {"return": value}) for each, value in values.items()]
        Random(0).shuffle(records)
        return [each.number for each in query("", text).select(records)]

    def test_examples(self) -> None:
        """
        Records without a value are last in both directions, and the number decides between equals.
        """
        self.assertEqual(self.numbers(""), [1, 2, 3, 4, 5, 6])
        self.assertEqual(self.numbers("number desc"), [6, 5, 4, 3, 2, 1])
        self.assertEqual(self.numbers("metrics.return"), [5, 1, 6, 4, 2, 3])
        self.assertEqual(self.numbers("metrics.return desc"), [4, 1, 6, 5, 2, 3])
        self.assertEqual(self.numbers("metrics.return desc,number desc"), [4, 6, 1, 5, 3, 2])
        self.assertEqual(self.numbers("  metrics . return   asc "), [5, 1, 6, 4, 2, 3])

    @given(orders)
    def test_positions(self, keys: list[tuple[str, bool]]) -> None:
        """
        A position survives JSON, and has the key of its record.
        """
        order = parse_order(", ".join(name + (" desc" if down else "") for name, down in keys), VERSION_FIELDS)
        for record in EXAMPLES:
            position = json.loads(json.dumps(order.position(record)))
            self.assertEqual(order.key_at(position), order.key(record))
        self.assertEqual(len({order.key(record) for record in EXAMPLES}), len(EXAMPLES))

    def test_foreign_positions(self) -> None:
        """
        A position of another order is refused.
        """
        order = parse_order("labels.env, archived, metrics.x", VERSION_FIELDS)
        order.key_at(["a", True, 1.5, 7])
        for position in ([], ["a"], ["a", True, 1.5, 7, 8], [1, True, 1.5, 7], ["a", 1, 1.5, 7], ["a", True, "x", 7]):
            self.assertRaises(InvalidRequest, order.key_at, position)
        self.assertRaises(InvalidRequest, order.key_at, ["a", True, nan, 7])
        order.key_at(["a", True, 10**400, 7])  # nothing is converted to a float
        self.assertRaises(InvalidRequest, order.key_at, ["a", True, True, 7])


class RangeTests(SynchronousTestCase):
    """
    The range of the first field of an order.
    """

    def test_examples(self) -> None:
        """
        Conditions that all matches fulfil narrow the range.
        """
        by_return = "metrics.return desc"
        for text, order, expected in (
            ("", by_return, Range()),
            ("archived", by_return, Range()),
            ("metrics.return > 3", by_return, Range(3, None, includes_low=False, includes_absent=False)),
            ("metrics.return > 3 AND metrics.return >= 3", by_return, Range(3, None, False, True, False)),
            ("archived AND metrics.return <= 5 AND metrics.return > 3", by_return, Range(3, 5, False, True, False)),
            ("metrics.return = 5", by_return, Range(5, 5, True, True, False)),
            ("metrics.return:*", by_return, Range(includes_absent=False)),
            ("metrics.return != 5", by_return, Range(includes_absent=False)),
            ("metrics.return > 3 OR archived", by_return, Range()),
            ("NOT metrics.return > 3", by_return, Range()),
            ("number >= 10 AND metrics.return > 3", "", Range(10, None, includes_absent=False)),
            ("age <= 1h", "created", Range(NOW_NS - 3600 * NS, None, includes_absent=False)),
            ('labels.env = "walk*"', "labels.env", Range("walk", None, includes_absent=False)),
            ('labels.env = "*walk"', "labels.env", Range(includes_absent=False)),
        ):
            self.assertEqual(query(text, order).seek_range, expected, text)

    def test_empty(self) -> None:
        """
        Conditions may exclude each other.
        """
        for text, expected in {
            "number > 3 AND number < 3": True,
            "number > 3 AND number <= 3": True,
            "number = 3 AND number = 4": True,
            "number >= 3 AND number <= 3": False,
            "number > 3": False,
        }.items():
            self.assertIs(query(text).seek_range.is_empty, expected, text)


class PageTests(SynchronousTestCase):
    """
    docs/reference/filters.md.
    """

    def test_examples(self) -> None:
        """
        Each example of the page is understood, and each that it calls wrong is refused.
        """
        blocks = re.findall(r"^```(\S+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        parsers: dict[str, Callable[[str], object]] = {
            "filter": query,
            "order": lambda text: query("", text),
            "model-filter": lambda text: Query.parse(text, "", MODEL_FIELDS, NOW_NS),
            "model-order": lambda text: Query.parse("", text, MODEL_FIELDS, NOW_NS),
        }
        seen = set()
        for kind, block in blocks:
            for line in block.splitlines():
                seen.add(kind)
                if kind == "wrong":
                    text, _, said = line.partition("  → ")
                    self.assertEqual(str(self.assertRaises(InvalidFilter, query, text.rstrip())), said)
                else:
                    parsers[kind](line)
        self.assertEqual(seen, {*parsers, "wrong"})
