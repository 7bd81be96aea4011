"""
Cases and their results.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen


@frozen
class Trial:
    """
    The arguments of a case.

    Attributes:
        count: how many times to run it.
        seed: the seed of all random choices, except for the scheduling of threads and processes.
        directory: an empty directory for the case alone.
        progress: a function that receives the number of runs so far, now and then.
        is_interrupted: a function that returns whether to end early, with the outcome so far.
    """

    count: int
    seed: int
    directory: Path
    progress: Callable[[int], None] = field(default=lambda done: None)
    is_interrupted: Callable[[], bool] = field(default=lambda: False)

    def is_over(self, done: int) -> bool:
        """
        Return whether there were enough runs, or the case is to end early.
        """
        return done >= self.count or self.is_interrupted()


@frozen
class Outcome:
    """
    The result of a case.

    Attributes:
        done: how many times it ran.
        wrong: a line for each violation.
        figures: other counts, by what they count, such as ``"acknowledged versions"``.
    """

    done: int
    wrong: Sequence[str]
    figures: Mapping[str, int] = field(factory=dict)


@frozen
class Case:
    """
    One kind of harm.

    Attributes:
        name: lower case, with hyphens; it is also the flag that sets the count.
        counts: what is counted, in the plural, such as ``"SIGKILLs under 8 writers"``.
        promise: what must hold, in one sentence.
        short: how many a test does, in some seconds.
        long: how many a long run does.
        run: does it.
        hindrance: says what this machine lacks for it; ``None`` where it can run.
    """

    name: str
    counts: str
    promise: str
    short: int
    long: int
    run: Callable[[Trial], Outcome]
    hindrance: Callable[[], str | None] = field(default=lambda: None)
