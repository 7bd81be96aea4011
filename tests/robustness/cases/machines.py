"""
Sequences of calls that Hypothesis generates, and shrinks if one of them fails (``tests.robustness.oracles.machine``).
"""

import traceback

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.reporting import with_reporter
from hypothesis.stateful import run_state_machine_as_test

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.machine import FLAGS, Bench, RegistryMachine
from tests.robustness.wire.served import Served

_STEPS = 20


def _run_machines(trial: Trial, bench: Bench) -> list[str]:
    """

    Returns:
        the shortest sequence that goes wrong, and how; nothing where none does.
    """
    told: list[object] = []

    @seed(trial.seed)
    class Machine(RegistryMachine):
        def __init__(self) -> None:
            super().__init__(bench)

    try:
        with with_reporter(told.append):
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
        return ["".join([*(f"{line}\n" for line in told), *traceback.format_exception(error)])]
    return []


def run(trial: Trial) -> Outcome:
    """
    Run machines, one after the other, against one daemon.
    """
    with Served(trial.directory, *FLAGS) as served:
        served.start()
        bench = Bench(served, served.connect(), trial.progress)
        wrong = _run_machines(trial, bench)
    figures = {"calls compared": bench.calls, "stops and kills": bench.restarts}
    refusals = {f"refused with {code}": count for code, count in sorted(bench.refusals.items())}
    return Outcome(bench.machines, [*wrong, *served.troubles], {**figures, **refusals})


CASE = Case(
    name="machines",
    counts="stateful machines",
    promise="Any sequence of calls is answered as by a registry that does one thing at a time.",
    short=30,
    long=5000,
    run=run,
)
