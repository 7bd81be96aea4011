"""
The command ``twisted-registry``, with a table of its subcommands.
"""

import os
from typing import Any

import click

from twisted_registry import __version__
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_os_error
from twisted_registry.cli.lazy_group import LazyGroup

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

_HELP = """Use and operate a model registry.

MODEL is a model, MODEL@3 is its version 3, MODEL@-1 is its latest version, and MODEL@ALIAS is the version that an alias
names. --server or TWISTED_REGISTRY_SERVER is the address of the registry. An access token is read from
TWISTED_REGISTRY_TOKEN, or from the file that --token-file or TWISTED_REGISTRY_TOKEN_FILE names; without these, it is
the one that 'twisted-registry login' keeps.

\b
Examples:
  twisted-registry push --create walker walker.pt
  twisted-registry pull walker@-1 walker.pt
  twisted-registry watch walker
"""

_COMMANDS = {
    "alias": "Set, remove and list aliases of versions.",
    "archive": "Back up, restore, verify and repair an archive on disk.",
    "audit": "Verify the audit log of a registry.",
    "completion": "Print a shell's completion script.",
    "events": "Print what happens in the registry, as it happens.",
    "followers": "List who follows a model.",
    "health": "Check whether the daemon on this machine is serving.",
    "info": "Show everything about a model or a version.",
    "label": "Set or remove labels of a version.",
    "login": "Keep an access token for a registry.",
    "logout": "Forget the access token for a registry.",
    "ls": "List models.",
    "metric": "Set or remove metrics of a version.",
    "promote": "Archive a version, or copy it to another model.",
    "prune": "Delete the versions that a retention policy does not keep.",
    "pull": "Retrieve a version to a file or stdout.",
    "push": "Create a version from a file or stdin.",
    "retention": "Set and show retention policies.",
    "rm": "Delete a model or a version.",
    "rollback": "Move an alias back to where it was before.",
    "search": "Find versions by what is known about them.",
    "set": "Set a model's metadata.",
    "status": "Show the state of the registry.",
    "token": "Create, list and revoke access tokens of a registry.",
    "versions": "List a model's versions.",
    "watch": "Print new versions of a model as they are created.",
    "whoami": "Show who you are for the registry.",
}
"""The short help of each command; ``set`` is ``set_`` in ``commands/set_.py``, and so on."""


def _target(name: str) -> str:
    attribute = "set_" if name == "set" else name
    return f"twisted_registry.cli.commands.{attribute}:{attribute}"


class Root(LazyGroup):
    """
    The group of all commands.  click's own output, such as help, may be written to a closed stdout as well.
    """

    def make_context(self, *given: Any, **options: Any) -> click.Context:
        """
        Parse the arguments.
        """
        with exit_on_os_error():
            return super().make_context(*given, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """
        Run the command that is named.
        """
        with exit_on_os_error():
            return super().invoke(ctx)


@click.group(
    cls=Root,
    lazy_commands={name: (_target(name), short_help) for name, short_help in _COMMANDS.items()},
    context_settings=_CONTEXT,
    help=_HELP,
    epilog=EXIT_STATUS_HELP,
)
@click.version_option(__version__, prog_name="twisted-registry")
def command() -> None:
    """
    Run the command.
    """


if "_TWISTED_REGISTRY_COMPLETE" in os.environ:
    # A shell asks for completions: its scripts differ from click's.
    import twisted_registry.cli.shells  # noqa: F401
