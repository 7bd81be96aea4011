"""
The group of commands for audit logs.
"""

import click

from twisted_registry.cli.lazy_group import LazyGroup

_COMMANDS = {
    "verify": ("twisted_registry.cli.commands.audit_verify:verify", "Verify that an audit log is as it was written."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS)
def audit() -> None:
    """Verify the audit log of a registry (--audit-file)."""
