"""
What is measured, and what came of it.
"""

from collections.abc import Callable
from statistics import median

from attrs import define, field, frozen

from benchmarks.servers import Server


@frozen
class Operation:
    """
    Something both the registry and an opponent do.

    Attributes:
        name: as the table calls it.
        registry: the registry's side: does it so many times, and tells how many seconds all of them took.
        opponent: the other side's.
        server: the registry's server.
        other: the opponent's server; ``None`` where it is no server.
        against: as the table calls the opponent.
        times: how often in each round.
        bar: the least ratio wanted; ``None`` where none is.
        size_bytes: the data moved each time; 0 where its rate says nothing.
    """

    name: str
    registry: Callable[[int], float]
    opponent: Callable[[int], float]
    server: Server
    other: Server | None
    against: str
    times: int
    bar: float | None = None
    size_bytes: int = 0


@frozen
class Row:
    """
    What came of an operation: medians of all rounds.

    Attributes:
        registry_ms: the registry's time for one, in milliseconds.
        opponent_ms: the opponent's.
        ratio: how much of the opponent's speed the registry has, compared round by round: above 1 it is faster.
        registry_cpu_ms: the processors' time that the registry's process took for one, in milliseconds.
        opponent_cpu_ms: the same of the opponent; ``None`` where it is no server.
        peak_bytes: the most memory that the registry's process had.
    """

    name: str
    against: str
    registry_ms: float
    opponent_ms: float
    ratio: float
    bar: float | None
    size_bytes: int
    registry_cpu_ms: float
    opponent_cpu_ms: float | None
    peak_bytes: int


@frozen
class Fact:
    """
    A figure that is compared with nothing but a bound.

    Attributes:
        name: what it is, with its unit.
        bound: the most wanted; ``None`` where none is.
    """

    name: str
    value: float
    bound: float | None = None


@define
class _Side:
    """
    One of the two in a measurement.
    """

    act: Callable[[int], float]
    server: Server | None
    seconds: list[float] = field(factory=list)
    cpu_seconds: float = 0.0

    def measure(self, times: int) -> None:
        """
        Do it once more.
        """
        before = self.server.cpu_seconds() if self.server else 0.0
        self.seconds.append(self.act(times) / times)
        self.cpu_seconds += (self.server.cpu_seconds() if self.server else 0.0) - before


def measure(operation: Operation, rounds: int) -> Row:
    """
    Measure an operation: the two sides in turns, so that a machine whose speed changes changes it for both.
    """
    registry = _Side(operation.registry, operation.server)
    opponent = _Side(operation.opponent, operation.other)
    for side in (registry, opponent):
        side.act(operation.times)  # not counted
    operation.server.forget_peak()
    for number in range(rounds):
        # Each goes first in every second round.
        for side in (registry, opponent) if number % 2 else (opponent, registry):
            side.measure(operation.times)
    done = rounds * operation.times
    return Row(
        name=operation.name,
        against=operation.against,
        registry_ms=_ms(median(registry.seconds)),
        opponent_ms=_ms(median(opponent.seconds)),
        ratio=round(median(other / own for own, other in zip(registry.seconds, opponent.seconds, strict=True)), 2),
        bar=operation.bar,
        size_bytes=operation.size_bytes,
        registry_cpu_ms=_ms(registry.cpu_seconds / done),
        opponent_cpu_ms=None if operation.other is None else _ms(opponent.cpu_seconds / done),
        peak_bytes=operation.server.memory_bytes(peak=True),
    )


def _ms(seconds: float) -> float:
    return float(f"{seconds * 1000:.3g}")
