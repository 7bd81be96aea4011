"""
The command: ``python -m tests.robustness``, or ``make robustness``.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import twisted
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.robustness import report
from tests.robustness.case import Case, Trial
from tests.robustness.cases import CASES

_MOST_WRONG_SHOWN = 20
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""A case that receives one ends early, and reports what it has done so far."""


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _arguments(words: Sequence[str] | None, cases: Sequence[Case]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.robustness",
        description="Try what the registry promises.  Ends with 1 where anything was wrong.",
        epilog="A few cases in long: python -m tests.robustness --only kills power-cuts --kills 5000 --seed 7",
    )
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=[case.name for case in cases], help="these alone")
    parser.add_argument("--short", action="store_true", help="as short as the tests do it")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="where chance begins [default: the time]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go; rows of other cases stay")
    for case in cases:
        parser.add_argument(
            f"--{case.name}", type=_count, metavar="N", help=f"how many {case.counts} [default: {case.long:,}]"
        )
    return parser.parse_args(words)


def _machine() -> dict[str, str]:
    return {
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "grpcio": grpc.__version__,
        "Twisted": twisted.__version__,
    }


def _commit() -> str:
    reported = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return reported.stdout.strip()


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """
    Let a signal end a case early instead of losing what it has found.
    """
    interrupted = threading.Event()
    before = [(number, signal.signal(number, lambda *_: interrupted.set())) for number in _SIGNALS]
    try:
        yield interrupted.is_set
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _run_one(case: Case, count: int, seed: int, console: Console) -> report.Row:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    started = time.monotonic()
    with bar, tempfile.TemporaryDirectory(prefix="robustness-") as directory:
        task = bar.add_task(case.name, total=count)
        with _interruption() as is_interrupted:
            trial = Trial(count, seed, Path(directory), lambda done: bar.update(task, completed=done), is_interrupted)
            outcome = case.run(trial)
    seconds = round(time.monotonic() - started)
    row = report.Row(
        case.name,
        case.promise,
        case.counts,
        outcome.done,
        seed,
        list(outcome.wrong),
        dict(outcome.figures),
        seconds,
        _commit(),
    )
    console.print(f"{case.name}: {row.done:,} {case.counts}, {len(row.wrong)} wrong, in {seconds} s", highlight=False)
    for line in row.wrong[:_MOST_WRONG_SHOWN]:
        console.print(f"  wrong: {line}", markup=False, highlight=False)
    return row


def _show(run: report.Run, console: Console) -> None:
    table = Table("case", "N", "seed", "wrong")
    for row in run.rows:
        table.add_row(row.case, f"{row.done:,} {row.counts}", str(row.seed), str(len(row.wrong)))
    console.print(table)


def main(words: Sequence[str] | None = None, cases: Sequence[Case] = CASES, console: Console | None = None) -> int:
    """
    Run cases.

    Args:
        words: the command line; by default that of this process.
        console: the output; by default stdout.

    Returns:
        the exit status: 0 if nothing was wrong, 1 if something was, 2 if a case cannot run here or was interrupted.
    """
    console = console or Console()
    arguments = _arguments(words, cases)
    run = report.Run(_machine(), report.read(arguments.json).rows if arguments.json and arguments.json.exists() else [])
    done, hindered, is_early = [], False, False
    for case in cases:
        if is_early or (arguments.only and case.name not in arguments.only):
            continue
        hindrance = case.hindrance()
        if hindrance is not None:
            hindered = True
            console.print(f"{case.name}: cannot be run here: {hindrance}", markup=False)
            continue
        given = getattr(arguments, case.name.replace("-", "_"))
        count = given or (case.short if arguments.short else case.long)
        row = _run_one(case, count, arguments.seed, console)
        done.append(row)
        is_early = row.done < count
        run = run.with_row(row)
        if arguments.json:
            report.write(run, arguments.json)
    _show(report.Run(run.machine, done), console)
    return 1 if any(row.wrong for row in done) else 2 if hindered or is_early else 0


if __name__ == "__main__":
    sys.exit(main())
