"""
The group of commands for an archive on disk.
"""

import click

from twisted_registry.cli.lazy_group import LazyGroup

_PACKAGE = "twisted_registry.cli.commands"

_COMMANDS = {
    "raise-numbers": (f"{_PACKAGE}.archive_raise_numbers:raise_numbers", "Raise version numbers after a restore."),
    "verify": (f"{_PACKAGE}.archive_verify:verify", "Verify an archive, even while a daemon uses it."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def archive() -> None:
    """Verify and repair an archive on disk."""
