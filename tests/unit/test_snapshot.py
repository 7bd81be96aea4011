"""
Tests of the snapshots of a model.
"""

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.snapshot import ModelSnapshot, VersionNumbers

NUMBERS = st.lists(st.tuples(st.integers(1, 60), st.booleans()), unique_by=lambda pair: pair[0]).map(sorted)


def numbers_from(pairs: list[tuple[int, bool]], later: tuple[int, ...] = ()) -> VersionNumbers:
    """
    Return numbers, archived if a pair says so; ``later`` are archived numbers of later snapshots.
    """
    archived = [number for number, is_archived in pairs if is_archived]
    transient = tuple(number for number, is_archived in pairs if not is_archived)
    return VersionNumbers([*archived, *later], len(archived), transient)


class VersionNumbersTests(SynchronousTestCase):
    """
    ``VersionNumbers`` behaves like one sorted list of archived and transient numbers.
    """

    @settings(deadline=None)
    @given(NUMBERS)
    def test_reads_like_a_sorted_list(self, pairs: list[tuple[int, bool]]) -> None:
        """
        Length, indexes, membership and order are those of the merged list, whatever later snapshots have added.
        """
        numbers = numbers_from(pairs, later=(61, 62))
        merged = [number for number, _ in pairs]
        self.assertEqual(len(numbers), len(merged))
        self.assertEqual([numbers.at(index) for index in range(len(merged))], merged)
        self.assertEqual([number for number in range(70) if number in numbers], merged)
        for start in range(0, 70, 7):
            self.assertEqual(list(numbers.starting_at(start)), [number for number in merged if number >= start])

    @settings(deadline=None)
    @given(NUMBERS)
    def test_transient(self, pairs: list[tuple[int, bool]]) -> None:
        """
        A new transient number is the last one, and without it the numbers are as before.
        """
        numbers = numbers_from(pairs)
        more = numbers.with_transient(100)
        self.assertEqual(more.at(len(numbers)), 100)
        self.assertEqual(more.without_transient(100), numbers)

    def test_invalid_index(self) -> None:
        """
        An index before the first number or after the last one is an error.
        """
        numbers = numbers_from([(1, True), (2, False)])
        for index in (-1, 2):
            self.assertRaises(IndexError, numbers.at, index)


class SelectTests(SynchronousTestCase):
    """
    ``ModelSnapshot.select`` finds the version that a selector selects.
    """

    snapshot = ModelSnapshot("m", 1, numbers_from([(2, True), (5, False), (9, True)]))

    def test_numbers(self) -> None:
        """
        A version's own number selects it.
        """
        self.assertEqual([self.snapshot.select(number) for number in (2, 5, 9)], [2, 5, 9])

    def test_negative(self) -> None:
        """
        -1 is the latest, -n the n-th to last of the versions that exist.
        """
        self.assertEqual([self.snapshot.select(selector) for selector in (-1, -2, -3)], [9, 5, 2])

    def test_unknown(self) -> None:
        """
        0, numbers that were never given out and counts past the first version are unknown versions.
        """
        for selector in (0, 1, 3, 10, -4, 2**31 - 1, -(2**31)):
            error = self.assertRaises(UnknownVersion, self.snapshot.select, selector)
            self.assertEqual(error.selector, selector)
