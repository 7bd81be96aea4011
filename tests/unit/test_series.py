"""
Tests for ``twisted_registry.domain.series``.
"""

from math import inf

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.series import MIN_POINTS, Series, SeriesThinner

POINTS = st.dictionaries(
    st.integers(1, 3000), st.floats(allow_nan=False) | st.sampled_from([0.0, 1.0, inf, -inf]), max_size=200
).map(lambda found: sorted(found.items()))


def thinned(points: list[tuple[int, float]], most: int) -> Series:
    """
    Thin out points.
    """
    first, last = (points[0][0], points[-1][0]) if points else (1, 0)
    thinner = SeriesThinner("return", first, last, most)
    for number, value in points:
        thinner.add(number, value)
    return thinner.series()


class SeriesTests(SynchronousTestCase):
    """
    A series has few points, and no peak is lost.
    """

    @given(POINTS, st.integers(MIN_POINTS, 60))
    @settings(max_examples=300, deadline=None)
    def test_points(self, points: list[tuple[int, float]], most: int) -> None:
        """
        All points are kept if they are few enough.  Otherwise those that are kept are some of them, in order, with the
        first, the last, the lowest and the highest.
        """
        series = thinned(points, most)
        kept = list(zip(series.numbers, series.values, strict=True))
        self.assertEqual(series.count, len(points))
        if len(points) <= most:
            self.assertEqual(kept, points)
            return
        self.assertLessEqual(len(kept), most)
        self.assertEqual(kept, sorted(set(kept)))
        self.assertLessEqual(set(kept), set(points))
        self.assertEqual((kept[0], kept[-1]), (points[0], points[-1]))
        values = [value for _, value in points]
        self.assertEqual((min(series.values), max(series.values)), (min(values), max(values)))

    @given(st.lists(st.floats(-9, 9), min_size=400, max_size=400))
    @settings(max_examples=50, deadline=None)
    def test_parts(self, values: list[float]) -> None:
        """
        Each part of the numbers keeps its lowest and its highest value.
        """
        series = thinned(list(enumerate(values, 1)), 42)  # 20 parts of 20 numbers
        kept = dict(zip(series.numbers, series.values, strict=True))
        for begin in range(0, 400, 20):
            part = values[begin : begin + 20]
            of_part = [value for number, value in kept.items() if begin < number <= begin + 20]
            self.assertEqual((min(of_part), max(of_part)), (min(part), max(part)))

    def test_one_peak(self) -> None:
        """
        A single peak among 100,000 points is among 100.
        """
        points = [(number, 1.0 if number != 54_321 else 7.0) for number in range(1, 100_001)]
        series = thinned(points, 100)
        self.assertIn(54_321, series.numbers)
        self.assertLessEqual(len(series.numbers), 100)
