"""
Helpers of the commands for an archive on disk.
"""

from contextlib import AbstractContextManager

import click
from click.shell_completion import CompletionItem

from twisted_registry.cli.errors import ExitStatus, exit_on_error


def complete_directory(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """
    Complete the name of a directory.
    """
    return [CompletionItem(incomplete, type="dir")]


def check_named(directory: str, what: str = "DIR") -> None:
    """
    Check that a directory is not the empty string.

    Args:
        directory: the directory.
        what: the name of the argument.

    Raises:
        click.BadParameter: the name is empty.
    """
    if not directory:
        # Most likely an unset variable: the current directory would be a bad surprise.
        raise click.BadParameter("the name of the directory is empty", param_hint=what)


def exit_on_archive_error() -> AbstractContextManager[None]:
    """
    Exit with status 2 if the archive cannot be read or written: 1 means that it is damaged.
    """
    return exit_on_error(lambda error: ExitStatus.USAGE)
