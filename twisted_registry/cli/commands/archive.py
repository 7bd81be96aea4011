"""
The group of commands for an archive on disk.
"""

import click

from twisted_registry.cli.lazy_group import LazyGroup

_PACKAGE = "twisted_registry.cli.commands"

_COMMANDS = {
    "backup": (f"{_PACKAGE}.archive_backup:backup", "Back up an archive, even while a daemon uses it."),
    "raise-numbers": (f"{_PACKAGE}.archive_raise_numbers:raise_numbers", "Raise version numbers after a restore."),
    "restore": (f"{_PACKAGE}.archive_restore:restore", "Restore a backup, and raise version numbers."),
    "verify": (f"{_PACKAGE}.archive_verify:verify", "Verify an archive, even while a daemon uses it."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def archive() -> None:
    """Back up, restore, verify and repair an archive on disk."""
