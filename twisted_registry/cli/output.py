"""
Output of the commands on stdout: tables and lines for people, JSON for programs.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

import click

from twisted_registry.cli.errors import os_errors_about
from twisted_registry.cli.references import harmless_reference
from twisted_registry.cli.text import exact_timestamp, size
from twisted_registry.domain.models import ModelInfo, VersionInfo

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")

_GAP = 2
"""Spaces between the columns of a table."""

_WORD = 24
"""The longest word, in characters, that is not split in a table; longer ones, such as ids, may be.  On a narrow
terminal it is half of the width."""


def kind(info: VersionInfo) -> str:
    """
    Return the kind of a version.
    """
    return "archived" if info.archived else "transient"


def model_object(info: ModelInfo) -> dict[str, Any]:
    """
    Return a model as a JSON object.
    """
    return {"model_id": info.model_id, "user_data": dict(info.metadata)}


def version_object(info: VersionInfo) -> dict[str, Any]:
    """
    Return a version as a JSON object.
    """
    return {
        "model_id": info.model_id,
        "version_number": info.version_number,
        "created": exact_timestamp(info.created_ns),
        "created_ns": info.created_ns,
        "archived": info.archived,
        "data_hash": info.sha256,
        "size_bytes": info.size_bytes,
        "user_data": dict(info.metadata),
    }


def json_line(fields: Mapping[str, Any]) -> str:
    """
    Return a JSON object as one line of ASCII, with sorted keys and escaped control characters.
    """
    return json.dumps(fields, sort_keys=True, allow_nan=False)


def print_line(text: str) -> None:
    """
    Print a line.
    """
    with os_errors_about("stdout"):
        click.echo(text)


def print_object(fields: Mapping[str, Any]) -> None:
    """
    Print a JSON object as a line.
    """
    print_line(json_line(fields))


def print_version(info: VersionInfo, as_json: bool) -> None:
    """
    Print a version as a line.
    """
    if as_json:
        print_object(version_object(info))
    else:
        name = harmless_reference(info.model_id, info.version_number)
        print_line(f"{name}  {size(info.size_bytes)}  {kind(info)}")


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print rows: on a terminal as a table; otherwise as they come, with cells separated by tabs and without a header.

    Args:
        heads: the header; a head that begins with ``>`` is above a column of numbers.  A column whose head begins with
            ``?`` is left out on a terminal if all its cells are empty.
        rows: cells without control characters.
    """
    if sys.stdout.isatty():
        # Imported late: a pipe does not need rich.
        from rich.console import Console

        print_on_terminal(Console(), heads, rows)
        return
    for row in rows:
        print_line("\t".join(row))


def print_on_terminal(console: "Console", heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print rows as a table, as wide as the terminal.  Cells that do not fit are wrapped.

    If the terminal is so narrow that words would be split, each row is a block instead, with a line for each cell.
    """
    heads, found = _shown_columns(heads, list(rows))
    if not found:
        return
    widths = _widths(heads, found, console.width) if any(heads) else [None] * len(heads)
    with os_errors_about("stdout"):
        if widths:
            console.print(_table(heads, found, widths))
            return
        for number, row in enumerate(found):
            if number:
                console.print()
            facts = [(head.removeprefix(">"), cell) for head, cell in zip(heads, row, strict=True) if cell]
            console.print(_table(("", ""), facts, (None, None)))


def _shown_columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    shown = [not head.startswith("?") or any(row[place] for row in rows) for place, head in enumerate(heads)]
    return [head.removeprefix("?") for head in compress(heads, shown)], [[*compress(row, shown)] for row in rows]


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Sequence[int | None]:
    """
    Return the width of each column; ``None`` for that of its longest cell.

    Returns:
        nothing if words would have to be split.
    """
    full, least = [], []
    for head, *cells in zip(heads, *rows, strict=True):
        is_number, head_width = head.startswith(">"), len(head.removeprefix(">"))
        full.append(max(head_width, *map(len, cells)))
        # Numbers are not wrapped; other cells are, between words.
        words = (len(word) for cell in cells for word in cell.split())
        longest = min(max(words, default=0), _WORD, width // 2)
        least.append(full[-1] if is_number else max(head_width, longest))
    spare = width - (len(heads) - 1) * _GAP - sum(least)
    wanted = sum(full) - sum(least)
    if spare < 0:
        return []
    if wanted <= spare:
        return [None] * len(heads)
    return [minimum + (most - minimum) * spare // wanted for most, minimum in zip(full, least, strict=True)]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int | None]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=any(heads))
    for head, width in zip(heads, widths, strict=True):
        is_number = head.startswith(">")
        table.add_column(
            head.removeprefix(">"),
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
            width=width,
        )
    for row in rows:
        # Text, so that rich does not read cells as markup.
        table.add_row(*map(Text, row))
    return table


def print_facts(facts: Mapping[str, str]) -> None:
    """
    Print facts, one per line.
    """
    print_table(("", ""), facts.items())
