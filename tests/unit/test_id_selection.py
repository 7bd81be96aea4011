"""
Tests for ``twisted_registry.domain.id_selection``.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.id_selection import IdSelection

TEXTS = st.text("ab/", max_size=4)


class CountedList(Sequence[str]):
    """
    A list that counts how many of its items are read.
    """

    def __init__(self, items: Sequence[str]) -> None:
        self._items = items
        self.read = 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        found = self._items[index]
        self.read += len(found) if isinstance(index, slice) else 1
        return found


class IdSelectionTests(SynchronousTestCase):
    """
    Selections from sorted lists.
    """

    @given(st.lists(TEXTS), st.lists(TEXTS), st.lists(TEXTS, unique=True).map(sorted))
    def test_same_as_the_definition(self, ids: list[str], prefixes: list[str], listed: list[str]) -> None:
        """
        The ids that are named or have a prefix are selected, each once, in their order.
        """
        expected = [each for each in listed if each in ids or any(each.startswith(prefix) for prefix in prefixes)]
        selected = IdSelection(ids, prefixes).select(listed)
        self.assertEqual((list(selected), len(selected)), (expected, len(expected)))

    @given(st.lists(TEXTS), TEXTS, st.slices(9), st.integers(-9, 9))
    def test_parts(self, ids: list[str], prefix: str, part: slice, index: int) -> None:
        """
        A selection has the items and slices of the list of the same ids.
        """
        listed = sorted({*ids, "a/1", "a/2", "b/1", "b/2"})
        selected = IdSelection(ids, [prefix]).select(listed)
        expected = list(selected)
        self.assertEqual(list(selected[part]), expected[part])
        self.assertEqual(list(reversed(selected)), expected[::-1])
        if -len(expected) <= index < len(expected):
            self.assertEqual(selected[index], expected[index])
        else:
            self.assertRaises(IndexError, lambda: selected[index])

    def test_any_character(self) -> None:
        """
        The last character of Unicode may follow a prefix.
        """
        listed = ["a/", "a/\U0010ffff", "a/\U0010ffff\U0010ffff", "a0"]
        self.assertEqual(list(IdSelection([], ["a/"]).select(listed)), listed[:3])

    def test_long_list(self) -> None:
        """
        A list is not walked: few of its ids are looked at.
        """
        listed = CountedList([f"{team}/{number:05}" for team in "abc" for number in range(10_000)])
        selected = IdSelection(["c/00007"], ["b/"]).select(listed)
        self.assertEqual((len(selected), selected[9_999], selected[10_000]), (10_001, "b/09999", "c/00007"))
        self.assertEqual(selected[9_999:10_001], ["b/09999", "c/00007"])
        self.assertLess(listed.read, 100)
