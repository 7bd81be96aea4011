"""
The results of a run, as JSON, and as the tables in docs/explanation/performance.md.

The tables are generated, and a test compares them with the JSON file beside the page::

    python -m benchmarks.report
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from benchmarks.case import Fact, Row
from tests.support.pages import Part, described, table

DOCS = Path(__file__).parents[1] / "docs" / "explanation"
RESULTS = DOCS / "performance.json"
PAGE = DOCS / "performance.md"

_PART = Part("<!-- the tables: made by python -m benchmarks.report -->", "<!-- the end of the tables -->")

ROW_HEAD = ("operation", "against", "registry", "other", "ratio", "bar", "CPU, registry / other", "peak memory")
FACT_HEAD = ("figure", "value", "at most")


@frozen
class Run:
    """
    The results of a run.

    Attributes:
        machine: a description of the machine.
    """

    machine: dict[str, str]
    rows: list[Row] = field(factory=list)
    facts: list[Fact] = field(factory=list)

    def with_result(self, result: Row | Fact) -> "Run":
        """
        Return a run with one more result, which replaces an older one of the same operation.
        """
        if isinstance(result, Fact):
            facts = {fact.name: fact for fact in self.facts} | {result.name: result}
            return Run(self.machine, self.rows, list(facts.values()))
        rows = {(row.name, row.against): row for row in self.rows} | {(result.name, result.against): result}
        return Run(self.machine, list(rows.values()), self.facts)


def write(run: Run, path: Path) -> None:
    """
    Write a run as JSON.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(run), indent=2) + "\n")


def read(path: Path) -> Run:
    """
    Read a run.
    """
    reported: Mapping[str, Any] = json.loads(path.read_text())
    rows, facts = [Row(**row) for row in reported["rows"]], [Fact(**fact) for fact in reported["facts"]]
    return Run(reported["machine"], rows, facts)


# The tables.


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"


def _speed(milliseconds: float, size_bytes: int) -> str:
    rate = f", {size_bytes / milliseconds / 1000:,.0f} MB/s" if size_bytes else ""
    return _time(milliseconds) + rate


def row_cells(row: Row) -> tuple[str, ...]:
    """
    Return the cells of a row in the first table.
    """
    other_cpu = "" if row.opponent_cpu_ms is None else f" / {_time(row.opponent_cpu_ms)}"
    missed = row.bar is not None and row.ratio < row.bar
    return (
        row.name,
        row.against,
        _speed(row.registry_ms, row.size_bytes),
        _time(row.opponent_ms),
        f"**{row.ratio:.2f}**" if missed else f"{row.ratio:.2f}",
        "" if row.bar is None else f"{row.bar:.2f}",
        _time(row.registry_cpu_ms) + other_cpu,
        f"{row.peak_bytes / 1e6:,.0f} MB",
    )


def fact_cells(fact: Fact) -> tuple[str, ...]:
    """
    Return the cells of a row in the second table.
    """
    if fact.bound is None:
        return fact.name, f"{fact.value:,.3g}", ""
    value = f"**{fact.value:,.4g}**" if fact.value > fact.bound else f"{fact.value:,.3g}"
    return fact.name, value, f"{fact.bound:,.4g}"


def section(run: Run) -> str:
    """
    Return the generated part of the page.
    """
    rows, facts = table(ROW_HEAD, map(row_cells, run.rows)), table(FACT_HEAD, map(fact_cells, run.facts))
    return _PART.of(rows, facts, described(run.machine))


def page_with(run: Run, page: str) -> str:
    """
    Put a run into the page, in place of the one that is there.
    """
    return _PART.put(section(run), page)


if __name__ == "__main__":
    PAGE.write_text(page_with(read(RESULTS), PAGE.read_text()))
