"""
What commands print to stdout: tables and lines for people, objects for programs.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twisted_registry.cli.errors import os_errors_about
from twisted_registry.cli.references import harmless_reference
from twisted_registry.cli.text import exact_timestamp, size
from twisted_registry.domain.models import ModelInfo, VersionInfo

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line.")


def kind(info: VersionInfo) -> str:
    """
    Say what kind a version is of.
    """
    return "archived" if info.archived else "transient"


def model_object(info: ModelInfo) -> dict[str, Any]:
    """
    Give a model as JSON has it.
    """
    return {"model_id": info.model_id, "user_data": dict(info.metadata)}


def version_object(info: VersionInfo) -> dict[str, Any]:
    """
    Give a version as JSON has it.
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


def json_line(told: Mapping[str, Any]) -> str:
    """
    Return an object as JSON in a line: its keys sorted, in ASCII, with control characters escaped.
    """
    return json.dumps(told, sort_keys=True, allow_nan=False)


def print_line(text: str) -> None:
    """
    Print a line.
    """
    with os_errors_about("stdout"):
        click.echo(text)


def print_object(told: Mapping[str, Any]) -> None:
    """
    Print an object in a line.
    """
    print_line(json_line(told))


def print_version(info: VersionInfo, as_json: bool) -> None:
    """
    Print a version in a line.
    """
    if as_json:
        print_object(version_object(info))
    else:
        name = harmless_reference(info.model_id, info.version_number)
        print_line(f"{name}  {size(info.size_bytes)}  {kind(info)}")


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print rows, of cells that are harmless: on a terminal as a table; else as they come, with tabs between the cells,
    nothing left out and no heads.

    Args:
        heads: those that begin with ``>`` stand over numbers.
    """
    if sys.stdout.isatty():
        print_on_terminal(Console(), heads, rows)
        return
    for row in rows:
        print_line("\t".join(row))


def print_on_terminal(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print rows as a table, as wide as the terminal.  What does not fit is folded.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(heads))
    for head in heads:
        is_number = head.startswith(">")
        table.add_column(
            head.removeprefix(">"), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold"
        )
    for row in rows:
        # As text, for rich has a markup of its own.
        table.add_row(*map(Text, row))
    if table.row_count:
        with os_errors_about("stdout"):
            console.print(table)


def print_facts(facts: Mapping[str, str]) -> None:
    """
    Print facts, a line each.
    """
    print_table(("", ""), facts.items())
