"""
What a case is, and what comes of it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen


@frozen
class Trial:
    """
    What a case is given to run.

    Attributes:
        count: how many times to do what the case does.
        seed: whatever is left to chance follows from it, except how the machine interleaves threads and processes.
        directory: an empty folder for the case alone.
        progress: is told, now and then, how many times it was done so far.
    """

    count: int
    seed: int
    directory: Path
    progress: Callable[[int], None] = field(default=lambda done: None)


@frozen
class Outcome:
    """
    What came of a case.

    Attributes:
        done: how many times it was done.
        wrong: a line for each thing that was not as it should be.
        figures: what else was counted, by what it is, such as ``"acknowledged versions"``.
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
