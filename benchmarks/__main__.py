"""
The command: ``python -m benchmarks``, or ``make benchmark``.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grpc
import twisted
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.beside import compare, other_checkout
from benchmarks.case import Fact, Operation, Row, measure
from benchmarks.context import Context, Suite
from benchmarks.servers import HERE, Checkout
from benchmarks.suites import (
    access,
    bounds,
    calls,
    capacity,
    clients,
    disk,
    growth,
    lifecycle,
    observability,
    page,
    push,
    retention,
    search,
    strangers,
    tenants,
    tracing,
)

SUITES: Mapping[str, Suite] = {
    "calls": calls.run,
    "clients": clients.run,
    "push": push.run,
    "disk": disk.run,
    "growth": growth.run,
    "lifecycle": lifecycle.run,
    "search": search.run,
    "retention": retention.run,
    "access": access.run,
    "observability": observability.run,
    "tracing": tracing.run,
    "page": page.run,
    "tenants": tenants.run,
    "bounds": bounds.run,
    "capacity": capacity.run,
    "strangers": strangers.run,
}


_LOG_WIDTH = 200


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the registry beside the fastest server that can be made of the same parts.",
    )
    parser.add_argument("--only", nargs="+", choices=SUITES, metavar="SUITE", help=f"these alone: {', '.join(SUITES)}")
    parser.add_argument("--rounds", type=int, default=5, help="how often the two sides take turns [default: 5]")
    parser.add_argument("--short", action="store_true", help="only see that it works; the figures say nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go; those of the same commit stay")
    parser.add_argument("--directory", type=Path, help="on the disk to be measured [default: the system's for such]")
    parser.add_argument(
        "--beside", type=Path, metavar="CHECKOUT", help="compare with this checkout of another commit, in its own venv"
    )
    return parser.parse_args(words)


def _machine(other: Checkout | None) -> dict[str, str]:
    beside = {"beside": other.commit() or str(other.root)} if other else {}
    return {
        "processors": f"{os.cpu_count()} of {_processor()}",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "grpcio": grpc.__version__,
        "Twisted": twisted.__version__,
        "commit": HERE.commit(),
        **beside,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _results(
    suite: Suite, arguments: argparse.Namespace, directory: Path, other: Checkout | None
) -> Iterator[Row | Fact]:
    context = Context(directory, arguments.short)
    if other:
        (directory / "beside").mkdir()
        items = compare(suite, context, Context(directory / "beside", arguments.short, other))
    else:
        items = suite(context)
    for item in items:
        yield measure(item, arguments.rounds) if isinstance(item, Operation) else item


def _tell(result: Row | Fact, console: Console) -> None:
    cells = report.fact_cells(result) if isinstance(result, Fact) else report.row_cells(result)
    console.print("; ".join(cell for cell in cells if cell), markup=False, highlight=False)


def _show(run: report.Run, console: Console) -> None:
    tables = (report.ROW_HEAD, map(report.row_cells, run.rows)), (report.FACT_HEAD, map(report.fact_cells, run.facts))
    for head, rows in tables:
        table = Table(*head)
        for cells in rows:
            table.add_row(*cells)
        console.print(table)


def main(words: Sequence[str] | None = None, console: Console | None = None) -> int:
    """
    Run the suites.

    Args:
        words: the command line; by default that of this process.
        console: the output; by default stdout.

    Returns:
        the exit status.
    """
    console = console or Console()
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    arguments = _arguments(words)
    other = other_checkout(arguments.beside) if arguments.beside else None
    run = report.Run(_machine(other))
    if arguments.json and arguments.json.exists():
        old = report.read(arguments.json)
        if old.machine == run.machine:  # the same commit, too
            run = old
    for name in arguments.only or SUITES:
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=arguments.directory) as directory:
            for result in _results(SUITES[name], arguments, Path(directory), other):
                _tell(result, console)
                run = run.with_result(result)
                if arguments.json:
                    report.write(run, arguments.json)
    _show(run, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
