"""
Confirmation of commands that delete.
"""

import sys

import click


def check_confirmable(yes: bool) -> None:
    """
    Check that the command may go on, or can ask whether it may.

    Args:
        yes: whether ``--yes`` was given.

    Raises:
        click.UsageError: it must ask, and stdin is not a terminal.
    """
    if not yes and (sys.stdin is None or not sys.stdin.isatty()):
        raise click.UsageError("stdin is not a terminal, so the command cannot ask for confirmation: pass --yes")
