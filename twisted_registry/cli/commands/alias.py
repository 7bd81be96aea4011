"""
The group of commands for aliases.
"""

import click

from twisted_registry.cli.lazy_group import LazyGroup

_PACKAGE = "twisted_registry.cli.commands"

_COMMANDS = {
    "log": (f"{_PACKAGE}.alias_log:log", "List the moves of aliases, the newest first."),
    "ls": (f"{_PACKAGE}.alias_ls:ls", "List a model's aliases."),
    "rm": (f"{_PACKAGE}.alias_rm:rm", "Remove an alias."),
    "set": (f"{_PACKAGE}.alias_set:set_", "Make an alias name a version."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def alias() -> None:
    """Set, remove and list aliases: names for versions that can move from one to another."""
