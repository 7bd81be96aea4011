"""
A trial with a clock: ``python -m tools.test_times tests.unit`` runs tests in one process, and prints the slowest.

The second column is the processor time of this process and of its children that have ended.  Unlike the time that
passed, it hardly depends on what else the machine does.  A daemon that a class shares counts for the test that ends it.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from tempfile import TemporaryDirectory

from attrs import define, field, frozen
from twisted.trial.reporter import Reporter
from twisted.trial.runner import TestLoader, TrialRunner

SHOWN = 40
"""The rows of each table."""


@frozen
class Times:
    """
    Two times, in seconds.

    Attributes:
        passed: the time that passed.
        used: the processor time.
    """

    passed: float
    used: float

    def __add__(self, other: "Times") -> "Times":
        return Times(self.passed + other.passed, self.used + other.used)

    def __sub__(self, other: "Times") -> "Times":
        return Times(self.passed - other.passed, self.used - other.used)

    def __str__(self) -> str:
        return f"{self.passed:9.2f} {self.used:9.2f}"


def now() -> Times:
    """
    Return the times since some moment.
    """
    used = os.times()
    return Times(time.monotonic(), sum(used[:4]))


@define(eq=False)
class Stopwatch:
    """
    The times of the tests of a run.

    Attributes:
        of_tests: the times of each test, by its id.
    """

    _now: Callable[[], Times] = now
    of_tests: dict[str, Times] = field(factory=dict)
    _started: Times = field(init=False)

    def start(self) -> None:
        """
        Start a test.
        """
        self._started = self._now()

    def stop(self, name: str) -> None:
        """
        Stop that test.

        Args:
            name: its id.
        """
        self.of_tests[name] = self._now() - self._started

    def of_groups(self, parts: int) -> dict[str, Times]:
        """
        Return the times of classes or modules.

        Args:
            parts: how many parts to cut off from the ids of tests: 1 for classes, 2 for modules.
        """
        groups: dict[str, Times] = {}
        for name, times in self.of_tests.items():
            group = name.rsplit(".", parts)[0]
            groups[group] = groups.get(group, Times(0, 0)) + times
        return groups


def table(title: str, times: dict[str, Times]) -> str:
    """
    Return a table of the slowest.
    """
    slowest = sorted(times.items(), key=lambda item: -max(item[1].passed, item[1].used))
    rows = [f"{each} {name}" for name, each in slowest[:SHOWN]]
    return "\n".join([f"\n   passed      used {title} (of {len(times)})", *rows])


class TimedReporter(Reporter):
    """
    A reporter of trial that prints failures, and times at the end.
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.stopwatch = Stopwatch()

    def startTest(self, test: object) -> None:  # noqa: N802
        """
        Start the clock.
        """
        super().startTest(test)
        self.stopwatch.start()

    def stopTest(self, test: object) -> None:  # noqa: N802
        """
        Stop the clock, and print the times.
        """
        name = str(test.id())  # type: ignore[attr-defined]
        self.stopwatch.stop(name)
        self._stream.write(f"{self.stopwatch.of_tests[name]} {name}\n")
        self._stream.flush()
        super().stopTest(test)

    def done(self) -> None:
        """
        Print the failures and the tables.
        """
        super().done()
        for title, parts in (("module", 2), ("class", 1)):
            self._stream.write(table(title, self.stopwatch.of_groups(parts)) + "\n")
        self._stream.write(table("test", self.stopwatch.of_tests) + "\n")


def main(names: Iterable[str]) -> int:
    """
    Run tests, and return the status to exit with.
    """
    with TemporaryDirectory() as directory:
        runner = TrialRunner(TimedReporter, workingDirectory=f"{directory}/trial")
        result = runner.run(TestLoader().loadByNames([*names], True))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
