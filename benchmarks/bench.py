"""
What the suites share: how much is done, and where.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

from benchmarks.case import Fact, Operation, Row, measure

Suite = Callable[["Bench"], Iterator[Row | Fact]]
"""Measures something, and gives what came of it, piece by piece."""


@frozen
class Bench:
    """
    One run.

    @ivar directory: an empty folder, on the disk that is to be measured.
    @ivar rounds: how often the two sides take turns.
    @ivar short: only see that it works; its figures say nothing.
    """

    directory: Path
    rounds: int
    short: bool

    def measure(self, operation: Operation) -> Row:
        """
        Measure an operation.
        """
        return measure(operation, self.rounds)

    def times(self, wanted: int) -> int:
        """
        Say how often to do something in each round.
        """
        return min(wanted, 2) if self.short else wanted
