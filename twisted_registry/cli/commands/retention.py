"""
The group of commands for retention policies.
"""

import click

from twisted_registry.cli.lazy_group import LazyGroup

_PACKAGE = "twisted_registry.cli.commands"

_COMMANDS = {
    "set": (f"{_PACKAGE}.retention_set:set_", "Set or remove a retention policy."),
    "show": (f"{_PACKAGE}.retention_show:show", "Show the policy that applies to a model."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def retention() -> None:
    """Set and show retention policies: which versions are kept, while all others are deleted."""
