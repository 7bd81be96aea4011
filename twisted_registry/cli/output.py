"""
Output of the commands on stdout: tables and lines for people, JSON for programs.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from twisted_registry.cli.errors import os_errors_about
from twisted_registry.cli.references import harmless_reference
from twisted_registry.cli.text import exact_timestamp, size
from twisted_registry.domain.models import ModelInfo, VersionInfo

if TYPE_CHECKING:
    from rich.console import Console

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")


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
        heads: the header; a head that begins with ``>`` is above a column of numbers.
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
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(heads))
    for head in heads:
        is_number = head.startswith(">")
        table.add_column(
            head.removeprefix(">"), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold"
        )
    for row in rows:
        # Text, so that rich does not read cells as markup.
        table.add_row(*map(Text, row))
    if table.row_count:
        with os_errors_about("stdout"):
            console.print(table)


def print_facts(facts: Mapping[str, str]) -> None:
    """
    Print facts, one per line.
    """
    print_table(("", ""), facts.items())
