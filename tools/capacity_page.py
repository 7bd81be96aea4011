"""
The tables of docs/guides/size.md, made from the results of the benchmarks.

    python -m tools.capacity_page            write them
    python -m tools.capacity_page --check    fail if they are not current

``docs/explanation/capacity.json`` is a run of the suite ``capacity``, and ``docs/explanation/performance.json`` one of
the others.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from tools.generated_page import write_or_check

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "guides" / "size.md"
CAPACITY = DOCS / "explanation" / "capacity.json"
PERFORMANCE = DOCS / "explanation" / "performance.json"

_PART = re.compile(r"(?<=<!-- the table: )([\w -]+?)( -->\n).*?(?=<!-- the end -->)", re.DOTALL)
_PUBLISHED = re.compile(r"publish (.+) until ([\d,]+) holds? it")
_MEGABIT = 1e6 / 8
_KIB, _MIB = 1024, 1024 * 1024


@frozen
class Results:
    """
    The results of a run.

    Attributes:
        machine: a description of the machine.
        rows: the measured operations, by name and opponent.
        facts: the values of the figures, by name.
    """

    machine: Mapping[str, str]
    rows: Mapping[tuple[str, str], Mapping[str, Any]]
    facts: Mapping[str, float]


def read(path: Path) -> Results:
    """
    Read the results of a run.
    """
    run = json.loads(path.read_text())
    rows = {(row["name"], row["against"]): row for row in run["rows"]}
    return Results(run["machine"], rows, {fact["name"]: fact["value"] for fact in run["facts"]})


def page(text: str, performance: Path = PERFORMANCE, capacity: Path = CAPACITY) -> str:
    """
    Return the page with current tables.

    Args:
        text: the page, in Markdown.
        performance: the results of the benchmarks.
        capacity: those of the suite ``capacity``; they may be missing.
    """
    parts = {
        "actors": lambda: "\n\n".join(_actors(read(path)) for path in (performance, capacity) if path.exists()),
        "publishing": lambda: _publishing(read(performance)),
        "units": lambda: _units(read(performance)),
    }
    return _PART.sub(lambda match: f"{match[1]}{match[2]}\n{parts[match[1]]()}\n\n", text)


def _actors(results: Results) -> str:
    head = ["a version of", "actors", "all hold it after", "versions a minute, at most", "processor time"]
    head += ["sent", "the network alone, at 1 / 10 Gbit/s"]
    rows = []
    for (name, _), row in results.rows.items():
        match = _PUBLISHED.fullmatch(name)
        if match is None:
            continue
        seconds = row["registry_ms"] / 1000
        sent = row["size_bytes"]
        cells = [match[1], match[2], _time(seconds), f"{60 / seconds:,.0f}", _time(row["registry_cpu_ms"] / 1000)]
        rows.append((*cells, f"{sent / 1e6:,.0f} MB", " / ".join(_time(sent / _MEGABIT / rate) for rate in (1e3, 1e4))))
    return _table(head, rows) + "\n\n" + _machine(results)


def _publishing(results: Results) -> str:
    head = ["a version of", "trainers", "transient: versions a second", "processor time each"]
    head += ["archived: versions a second", "processor time each"]
    rows = []
    for size in ("1 KB", "1 MiB", "10 MiB", "100 MiB"):
        for clients in (1, 4):
            which = f"{size}, {clients} client{'' if clients == 1 else 's'}"
            against = "bare disk" if clients == 1 else "1 client of the registry"
            transient = results.rows[f"create transient, {which}", "ceiling with SHA-256"]
            archived = results.rows[f"create archived, {which}", against]
            rates = [
                cell for row in (transient, archived) for cell in (_rate(row), _time(row["registry_cpu_ms"] / 1000))
            ]
            rows.append((size, str(clients), *rates))
    return _table(head, rows) + "\n\n" + _machine(results)


def _units(results: Results) -> str:
    info = results.rows["latest info, 16 clients", "ceiling"]
    memory = results.rows["retrieve from memory, 10 MiB, 4 clients", "ceiling"]
    archive = results.rows["retrieve archived, no copy in memory, 10 MiB, 4 clients", "ceiling"]
    created = results.rows["create transient, 10 MiB, 4 clients", "ceiling with SHA-256"]
    held = results.facts["memory for each byte in a full cache"]
    rows = [
        ("a core", f"{1000 / info['registry_cpu_ms']:,.0f} calls a second that ask for the latest version"),
        ("a core", f"{_core_rate(memory)} sent from memory, {_core_rate(archive)} from the archive"),
        ("a core", f"{_core_rate(created)} published"),
        ("1 GiB of memory", f"{1024 / 10 / held:,.0f} versions of 10 MiB, or {1024 / held:,.0f} of 1 MiB, in memory"),
        ("1 GiB of memory", f"{_MIB / results.facts[_SUBSCRIBER]:,.0f} subscribers, each with a connection"),
        ("1 Gbit/s", f"{1e3 * _MEGABIT / (10 * _MIB):,.0f} copies of 10 MiB a second, to all actors together"),
    ]
    return _table(("one more", "is enough for"), rows)


_SUBSCRIBER = "memory of each of 1,000 subscribers, a connection each, KB"


def _core_rate(row: Mapping[str, Any]) -> str:
    return f"{row['size_bytes'] / row['registry_cpu_ms'] / 1e6:,.1f} GB a second"


def _rate_and_time(row: Mapping[str, Any]) -> tuple[str, str]:
    return _rate(row), _time(row["registry_cpu_ms"] / 1000)


def _rate(row: Mapping[str, Any]) -> str:
    rate = f"{1000 / row['registry_ms']:,.3g}" if row["registry_ms"] > 10 else f"{1000 / row['registry_ms']:,.0f}"
    return f"{rate} ({row['size_bytes'] / row['registry_ms'] / 1000:,.0f} MB/s)" if row["size_bytes"] > _KIB else rate


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def _machine(results: Results) -> str:
    return f"Measured on: {'; '.join(f'{what}: {value}' for what, value in results.machine.items())}."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def main() -> int:
    """
    Write or check the page.

    Returns:
        the exit status.
    """
    return write_or_check(PAGE, page(PAGE.read_text()))


if __name__ == "__main__":
    sys.exit(main())
