"""
The archive's code is made worse in one place at a time: what is here to find that must find it.
"""

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from torture.case import Case, Outcome, Trial
from torture.disk.mutations import MUTATIONS, PACKAGE, Mutation

_AT_ONCE = 200

# In a process of its own, which sees the changed package.
_SIMULATION = """
import sys
from pathlib import Path
import twisted_registry
from torture.case import Trial
from torture.cases.{module} import CASE
assert twisted_registry.__file__.startswith(sys.argv[1]), twisted_registry.__file__
for seed in range(int(sys.argv[3])):
    for line in CASE.run(Trial(int(sys.argv[4]), seed, Path(sys.argv[2]))).wrong:
        sys.exit(line)
"""

_TESTS = ("order", "faults", "settling", "leftovers", "names", "mounts")


@frozen
class _Killer:
    """
    What may find a mutation: a simulation, so many times, or tests.
    """

    name: str
    arguments: Sequence[str]
    rounds: int = 0

    def run(self, directory: Path, rounds: int) -> subprocess.CompletedProcess[str]:
        """
        Run it on the package in a directory.
        """
        scratch = directory / "scratch"
        scratch.mkdir()
        told = [str(directory), str(scratch), str(rounds), str(_AT_ONCE)] if self.rounds else []
        run = subprocess.run(
            [sys.executable, *self.arguments, *told],
            cwd=scratch,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(directory), str(PACKAGE.parent)]),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        shutil.rmtree(scratch)
        return run


_KILLERS = (
    _Killer("simulated power cuts", ("-c", _SIMULATION.format(module="power_cuts")), 10),
    _Killer("simulated faults", ("-c", _SIMULATION.format(module="faults")), 20),
    _Killer("unit tests", ("-m", "twisted.trial", *(f"tests.unit.test_filesystem_{name}" for name in _TESTS))),
)


def _killed_by(directory: Path, mutation: Mutation) -> str | None:
    mutation.apply(directory)
    for killer in _KILLERS:
        if killer.run(directory, killer.rounds).returncode != 0:
            return killer.name
    return None


def _unchanged(directory: Path) -> list[str]:
    # Whatever fails without a fault as well proves nothing.
    same = Mutation("nothing is wrong", "storage/__init__.py", "Storage providers", "Storage providers")
    same.apply(directory)
    runs = [killer.run(directory, 1) for killer in _KILLERS]
    return [f"without a mutation: {run.stderr[-300:]}" for run in runs if run.returncode != 0]


def run(trial: Trial) -> Outcome:
    """
    Try the mutations, one after the other.
    """
    wrong = _unchanged(trial.directory / "unchanged")
    order = random.Random(trial.seed).sample(MUTATIONS, len(MUTATIONS))
    killed: Counter[str] = Counter()
    for done in range(trial.count):
        mutation, directory = order[done % len(order)], trial.directory / str(done)
        killer = _killed_by(directory, mutation)
        shutil.rmtree(directory)
        if killer is None:
            wrong.append(f"nothing notices that {mutation.name}")
        else:
            killed[f"killed by {killer}"] += 1
        trial.progress(done + 1)
    return Outcome(trial.count, wrong, dict(killed))


CASE = Case(
    name="mutations",
    counts="steps taken out of the archive's code",
    promise="Each step that a power cut is survived by is missed when it is not taken.",
    short=2,
    long=len(MUTATIONS),
    run=run,
)
