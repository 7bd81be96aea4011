"""
The operations to measure, and their results.
"""

from collections.abc import Callable
from statistics import median

from attrs import define, field, frozen

from benchmarks.servers import Server


@frozen
class Operation:
    """
    An operation that both the registry and an opponent run.

    Attributes:
        name: its name in the table.
        registry: the registry's side: runs it so many times and returns the seconds for all of them.
        opponent: the opponent's side.
        server: the registry's server.
        other: the opponent's server; ``None`` if it is not a server.
        against: the opponent's name in the table.
        times: how often in each round.
        bar: the lowest acceptable ratio; ``None`` if there is none.
        size_bytes: the data moved each time; 0 if its rate does not matter.
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
    The result of an operation: medians of all rounds.

    Attributes:
        registry_ms: the registry's time for one, in milliseconds.
        opponent_ms: the opponent's.
        ratio: the registry's speed as a part of the opponent's, compared round by round: above 1 it is faster.
        registry_cpu_ms: the processor time of the registry's process for one, in milliseconds.
        opponent_cpu_ms: the opponent's; ``None`` if it is not a server.
        peak_bytes: the peak memory of the registry's process.
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
