"""
The results of a run, as JSON, and as the table in docs/explanation/reliability.md.

The table is generated, and a test compares it with the JSON file beside the page::

    python -m tests.robustness.report
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from tests.support.pages import Part, described, table

DOCS = Path(__file__).parents[2] / "docs" / "explanation"
RESULTS = DOCS / "reliability.json"
PAGE = DOCS / "reliability.md"

_PART = Part("<!-- the table: made by python -m tests.robustness.report -->", "<!-- the end of the table -->")
_HEAD = ("case", "what must hold", "N", "seed", "wrong", "seconds", "what else was counted")


@frozen
class Row:
    """
    The result of one case.

    Attributes:
        case: its name.
        promise: what must hold.
        counts: what N counts.
        done: N, which may be more than requested.
        wrong: a line for each violation.
        figures: other counts.
        seconds: its duration, rounded.
        commit: the commit of the code.
    """

    case: str
    promise: str
    counts: str
    done: int
    seed: int
    wrong: list[str]
    figures: dict[str, int]
    seconds: int
    commit: str = ""


@frozen
class Run:
    """
    The results of several cases.

    Attributes:
        machine: a description of the machine, by property.
    """

    machine: dict[str, str]
    rows: list[Row] = field(factory=list)

    def with_row(self, row: Row) -> "Run":
        """
        Return a run with this row for its case.
        """
        rows = {old.case: old for old in self.rows} | {row.case: row}
        return Run(self.machine, list(rows.values()))


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
    return Run(reported["machine"], [Row(**row) for row in reported["rows"]])


def _cells(row: Row) -> tuple[str, ...]:
    figures = ", ".join(f"{count:,} {what}" for what, count in row.figures.items())
    return (
        f"`{row.case}`",
        row.promise,
        f"{row.done:,} {row.counts}",
        str(row.seed),
        str(len(row.wrong)),
        f"{row.seconds:,}",
        figures,
    )


def section(run: Run) -> str:
    """
    Return the generated part of the page.
    """
    return _PART.of(table(_HEAD, map(_cells, run.rows)), described(run.machine))


def page_with(run: Run, page: str) -> str:
    """
    Put a run into the page, in place of the one that is there.
    """
    return _PART.put(section(run), page)


if __name__ == "__main__":
    PAGE.write_text(page_with(read(RESULTS), PAGE.read_text()))
