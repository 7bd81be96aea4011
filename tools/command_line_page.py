"""
The usages and tables of options in docs/reference/command-line.md, made from the commands.

    python -m tools.command_line_page            write them
    python -m tools.command_line_page --check    fail if they are not current

The text around them is written by hand.  A part begins with ``<!-- the table: COMMAND -->``, or with ``all commands``
in place of a command, and ends with ``<!-- the end -->``.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from tools.generated_page import write_or_check
from twisted_registry.cli.group import command as root

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"

_PART = re.compile(r"(?<=<!-- the table: )([\w -]+?)( -->\n).*?(?=<!-- the end -->)", re.DOTALL)
_REWORDED = (
    (r" +\[(.*)\]$", r" (\1)"),
    (r"(\d+)<=x<=(\d+)", r"\1 to \2"),
    (r"\bx>=(\d+)", r"at least \1"),
    (r"\bx>(\d+)", r"more than \1"),
)
"""Patterns of what click appends to the help of an option, each with the text of the page."""

_SHARED = ("server", "retry_seconds", "tls_ca", "tls", "tls_cert", "tls_key", "token_file")
_EVERY = "all commands"


def commands(group: click.Group = root, prefix: str = "") -> dict[str, click.Command]:
    """
    Return all commands by name, such as ``archive verify``.
    """
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "the group lists it"
        if isinstance(command, click.Group):
            found.update(commands(command, f"{prefix}{name} "))
        else:
            found[f"{prefix}{name}"] = command
    return found


def part(name: str) -> str:
    """
    Return the generated text about a command, or about the options that most commands have.
    """
    found = commands()
    if name == _EVERY:
        return f"\n{_table(('flag', 'environment', 'meaning', 'default'), map(_shared_row, _shared(found['ls'])))}\n"
    command = found[name]
    context = click.Context(command, info_name=f"{root.name} {name}", max_content_width=1000)
    usage = " ".join([f"twisted-registry {name}", *command.collect_usage_pieces(context)])
    shared = _shared(command)
    rows = [
        _row(context, option)
        for option in command.params
        if isinstance(option, click.Option) and option not in shared and not option.hidden
    ]
    return f"\nUsage: `{usage}`\n\n" + (f"{_table(('option', 'meaning'), rows)}\n" if rows else "")


def _shared(command: click.Command) -> list[click.Option]:
    """
    Return the options of a command that most commands have; 'health' has others of the same names.
    """
    options = [each for each in command.params if isinstance(each, click.Option) and each.name in _SHARED]
    return options if len(options) == len(_SHARED) else []


def _shared_row(option: click.Option) -> list[str]:
    default = f"{option.default}" if option.show_default else "none"
    name = option.opts[0] if option.is_flag else f"{option.opts[0]} {option.metavar}"
    return [f"`{name}`", f"`{option.envvar}`", option.help or "", default]


def _row(context: click.Context, option: click.Option) -> list[str]:
    record = option.get_help_record(context)
    assert record is not None, "it is not hidden"
    flags, meaning = record
    for pattern, text in _REWORDED:
        meaning = re.sub(pattern, text, meaning)
    return [f"`{flags}`", meaning.replace("|", r"\|")]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page(text: str) -> str:
    """
    Return the text of the page with current parts.

    Args:
        text: the page as it is.

    Raises:
        ValueError: a command has no part, or a part no command.
    """
    found, expected = [match[1] for match in _PART.finditer(text)], [_EVERY, *commands()]
    if sorted(found) != sorted(expected):
        raise ValueError(f"the page has parts for {sorted(found)}, and needs {sorted(expected)}")
    return _PART.sub(lambda match: f"{match[1]}{match[2]}{part(match[1])}", text)


def main() -> int:
    """
    Write or check the page.

    Returns:
        the exit status.
    """
    return write_or_check(PAGE, page(PAGE.read_text()))


if __name__ == "__main__":
    sys.exit(main())
