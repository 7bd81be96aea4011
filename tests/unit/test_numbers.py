"""
Tests of the numbers of a model's versions.
"""

from collections.abc import Callable

from attrs import define, field
from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.numbers import VersionNumbers

HIGHEST = 400
LOADED = st.one_of(
    st.integers(0, HIGHEST).map(lambda last: list(range(1, last + 1))),
    st.sets(st.integers(1, HIGHEST)).map(sorted),
)
STEPS = st.lists(st.tuples(st.sampled_from(["transient", "archived", "promoted", "without"]), st.integers(0, HIGHEST)))


@define
class Reference:
    """
    Two sets that change as the numbers do.
    """

    archived: set[int]
    transient: set[int] = field(factory=set)

    def change(self, numbers: VersionNumbers, step: str, choice: int) -> VersionNumbers:
        """
        Take a step with the numbers and with the sets; the numbers stay the same if the step is impossible.
        """
        change, candidates = self._possible(numbers)[step]
        if not candidates:
            return numbers
        number = candidates[choice % len(candidates)]
        self.archived.discard(number)
        self.transient.discard(number)
        if step != "without":
            (self.transient if step == "transient" else self.archived).add(number)
        return change(number)

    def _possible(self, numbers: VersionNumbers) -> dict[str, tuple[Callable[[int], VersionNumbers], list[int]]]:
        known = self.archived | self.transient
        new = [number for number in range(1, HIGHEST + 50) if number not in known]
        return {
            "transient": (numbers.with_transient, new),
            "archived": (numbers.with_archived, new),
            "promoted": (numbers.promoted, sorted(self.transient)),
            "without": (numbers.without, sorted(known)),
        }


class VersionNumbersTests(SynchronousTestCase):
    """
    ``VersionNumbers`` behaves like one sorted list, whose numbers are archived or transient.
    """

    @settings(deadline=None)
    @given(LOADED, STEPS, st.integers(-1, HIGHEST + 60))
    def test_behaves_like_a_sorted_list(self, loaded: list[int], steps: list[tuple[str, int]], start: int) -> None:
        """
        Whatever is added, promoted and removed, anywhere, all answers are those of a sorted list.
        """
        numbers, reference = VersionNumbers.of_archived(loaded), Reference(set(loaded))
        for step, choice in steps:
            numbers = reference.change(numbers, step, choice)
        transient = sorted(reference.transient)
        merged = sorted(reference.archived | reference.transient)
        self.assertEqual((len(numbers), bool(numbers), list(numbers)), (len(merged), bool(merged), merged))
        self.assertEqual([numbers.at(index) for index in range(len(merged))], merged)
        self.assertEqual([number for number in range(HIGHEST + 60) if number in numbers], merged)
        self.assertEqual([number for number in range(HIGHEST + 60) if numbers.is_transient(number)], transient)
        self.assertEqual((list(numbers.transient()), numbers.transient_count), (transient, len(transient)))
        self.assertEqual((numbers.last, numbers.last_transient), (last(merged), last(transient)))
        self.assertEqual(list(numbers.starting_at(start)), [number for number in merged if number >= start])
        self.assertEqual(numbers.position(start), len([number for number in merged if number < start]))

    @settings(deadline=None)
    @given(LOADED, st.integers(0, HIGHEST), st.none() | st.integers(-1, HIGHEST + 60))
    def test_skipping(self, loaded: list[int], skip: int, after: int | None) -> None:
        """
        The first numbers are left out, in both directions, and after any number.
        """
        numbers = VersionNumbers.of_archived(loaded)
        higher = [number for number in loaded if after is None or number > after]
        lower = [number for number in reversed(loaded) if after is None or number < after]
        self.assertEqual(list(numbers.skipping(skip, after)), higher[skip:])
        self.assertEqual(list(numbers.skipping(skip, after, is_descending=True)), lower[skip:])

    @settings(deadline=None)
    @given(LOADED, STEPS)
    def test_never_changed(self, loaded: list[int], steps: list[tuple[str, int]]) -> None:
        """
        Numbers, and iterators over them, stay the same after others were made from them.
        """
        before = VersionNumbers.of_archived(loaded)
        reference = Reference(set(loaded))
        numbers, iterator = before, before.starting_at(0)
        for step, choice in steps:
            numbers = reference.change(numbers, step, choice)
        self.assertEqual((list(before), list(iterator), list(before.transient())), (loaded, loaded, []))

    @settings(deadline=None)
    @given(LOADED, st.sets(st.integers(1, HIGHEST)))
    def test_many_archived(self, loaded: list[int], found: set[int]) -> None:
        """
        Many numbers are added at once, and transient ones stay transient.
        """
        new = found - set(loaded)
        numbers = VersionNumbers.of_archived(loaded).with_transient(1000).with_all_archived(new)
        self.assertEqual((list(numbers), list(numbers.transient())), ([*sorted({*loaded, *new}), 1000], [1000]))

    def test_loaded_list_may_change(self) -> None:
        """
        The numbers don't depend on the list that they were made from.
        """
        for loaded in ([1, 2, 3], [1, 3, 5]):
            expected = list(loaded)
            numbers = VersionNumbers.of_archived(loaded)
            loaded.append(9)
            self.assertEqual(list(numbers), expected)

    def test_refusals(self) -> None:
        """
        A number is given out once, and only what is there is promoted, removed or found.
        """
        numbers = VersionNumbers.of_archived([1, 4]).with_transient(2)
        for add in (numbers.with_transient, numbers.with_archived):
            for number in (1, 2):
                self.assertRaises(ValueError, add, number)
        for number in (1, 3):
            self.assertRaises(KeyError, numbers.promoted, number)
        self.assertRaises(KeyError, numbers.without, 3)
        for index in (-1, 3):
            self.assertRaises(IndexError, numbers.at, index)
        self.assertNotIn("1", numbers)


def last(numbers: list[int]) -> int | None:
    """
    Return the last number, if there is one.
    """
    return numbers[-1] if numbers else None
