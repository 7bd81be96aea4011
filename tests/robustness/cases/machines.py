"""
Sequences of calls that Hypothesis generates, and shrinks if one of them fails (``tests.robustness.oracles.machine``).
"""

import traceback

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.reporting import with_reporter
from hypothesis.stateful import run_state_machine_as_test

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.machine import FLAGS, RegistryMachine, Shared
from tests.robustness.wire.served import Served

_STEPS = 20


def _run_machines(trial: Trial, shared: Shared) -> list[str]:
    """

    Returns:
        the shortest sequence that goes wrong, and how; nothing where none does.
    """
    notes: list[object] = []

    @seed(trial.seed)
    class Machine(RegistryMachine):
        def __init__(self) -> None:
            super().__init__(shared)

    try:
        with with_reporter(notes.append):
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=trial.count,
                    stateful_step_count=_STEPS,
                    database=None,
                    deadline=None,
                    phases=[Phase.generate, Phase.shrink],
                    suppress_health_check=list(HealthCheck),
                    verbosity=Verbosity.normal,
                ),
            )
    except BaseException as error:
        if not isinstance(error, (Exception, BaseExceptionGroup)):
            raise
        return ["".join([*(f"{line}\n" for line in notes), *traceback.format_exception(error)])]
    return []


def run(trial: Trial) -> Outcome:
    """
    Run machines, one after the other, against one daemon.
    """
    with Served(trial.directory, *FLAGS) as served:
        served.start()
        shared = Shared(served, served.connect(), trial.progress)
        wrong = _run_machines(trial, shared)
    figures = {"calls compared": shared.calls, "stops and kills": shared.restarts}
    refusals = {f"refused with {code}": count for code, count in sorted(shared.refusals.items())}
    return Outcome(shared.machines, [*wrong, *served.problems], {**figures, **refusals})


CASE = Case(
    name="machines",
    counts="stateful machines",
    promise="Any sequence of calls is answered as by a registry that does one thing at a time.",
    short=30,
    long=5000,
    run=run,
)
