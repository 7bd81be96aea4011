"""
Series: the values of a metric over the numbers of versions, thinned out for a plot.
"""

from array import array
from collections.abc import Sequence

from attrs import frozen

MIN_POINTS = 4
"""The fewest points that a series can be thinned out to."""

_Point = tuple[int, float]


@frozen
class Series:
    """
    The points of a metric.

    Attributes:
        metric: its name.
        numbers: the numbers of versions, ascending.
        values: the value of each.
        count: how many versions have the metric, also those that were left out.
    """

    metric: str
    numbers: Sequence[int]
    values: Sequence[float]
    count: int


class SeriesThinner:
    """
    A series that is made point by point.

    If there are too many points, the numbers are divided into equal parts, which are like columns of a plot.  Of each
    part the lowest and the highest value are kept, so that no peak is lost; so are the first and the last point.
    """

    def __init__(self, metric: str, first_number: int, last_number: int, most: int) -> None:
        """

        Args:
            metric: the name of the metric.
            first_number: no number is lower.
            last_number: no number is higher.
            most: the most points to keep, at least ``MIN_POINTS``.
        """
        self._metric = metric
        self._most = most
        self._first_number = first_number
        self._parts = (most - 2) // 2
        self._span = max(1, last_number - first_number + 1)
        self._count = 0
        # All points, as long as they are not too many; and what is kept of the parts.
        self._all = _Points()
        self._kept = _Points()
        self._part = -1
        self._low: _Point = (0, 0.0)
        self._high: _Point = (0, 0.0)
        self._last: _Point = (0, 0.0)

    def add(self, number: int, value: float) -> None:
        """
        Add a point.

        Args:
            number: the number of the version, higher than those before.
            value: the value of the metric, not NaN.
        """
        if self._count < self._most:
            self._all.append((number, value))
        self._count += 1
        self._last = point = number, value
        part = (number - self._first_number) * self._parts // self._span
        if part != self._part:
            self._keep_part()
            self._part, self._low, self._high = part, point, point
        elif value < self._low[1]:
            self._low = point
        elif value > self._high[1]:
            self._high = point

    def _keep_part(self) -> None:
        if self._part < 0:
            return
        self._kept.append(min(self._low, self._high))
        if self._low[0] != self._high[0]:
            self._kept.append(max(self._low, self._high))

    def series(self) -> Series:
        """
        Return the series.  Nothing is added afterwards.
        """
        if self._count <= self._most:
            return Series(self._metric, self._all.numbers, self._all.values, self._count)
        self._keep_part()
        points = self._kept
        if points.numbers[0] != self._all.numbers[0]:
            points.numbers.insert(0, self._all.numbers[0])
            points.values.insert(0, self._all.values[0])
        if points.numbers[-1] != self._last[0]:
            points.append(self._last)
        return Series(self._metric, points.numbers, points.values, self._count)


class _Points:
    """
    Points in little memory.

    Attributes:
        numbers: their numbers.
        values: their values.
    """

    def __init__(self) -> None:
        self.numbers = array("L")
        self.values = array("d")

    def append(self, point: _Point) -> None:
        """
        Add a point.
        """
        self.numbers.append(point[0])
        self.values.append(point[1])
