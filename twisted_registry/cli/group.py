"""
The command with all its subcommands.
"""

from typing import Any

import click

from twisted_registry import __version__
from twisted_registry.cli.commands.archive import archive
from twisted_registry.cli.commands.completion import completion
from twisted_registry.cli.commands.health import health
from twisted_registry.cli.commands.listing import info, ls, versions
from twisted_registry.cli.commands.models import rm, set_
from twisted_registry.cli.commands.pull import pull
from twisted_registry.cli.commands.push import push
from twisted_registry.cli.commands.status import status
from twisted_registry.cli.commands.watch import watch
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_os_error

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

_HELP = """Look after a model registry, and what is in it.

Models are named MODEL, versions MODEL@3 or, counted from the latest, MODEL@-1. The registry is the one at --server or
TWISTED_REGISTRY_SERVER. A token for it is taken from TWISTED_REGISTRY_TOKEN alone.

\b
Examples:
  twisted-registry push --create walker walker.pt
  twisted-registry pull walker@-1 walker.pt
  twisted-registry watch walker
"""


class Root(click.Group):
    """
    The group of all commands.  What click itself prints, such as help, may have nowhere to go either.
    """

    def make_context(self, *given: Any, **options: Any) -> click.Context:
        """
        Read the arguments.
        """
        with exit_on_os_error():
            return super().make_context(*given, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """
        Run the command that is named.
        """
        with exit_on_os_error():
            return super().invoke(ctx)


@click.group(cls=Root, context_settings=_CONTEXT, help=_HELP, epilog=EXIT_STATUS_HELP)
@click.version_option(__version__, prog_name="twisted-registry")
def command() -> None:
    """
    Run the command.
    """


for _each in (push, pull, ls, versions, info, rm, set_, watch, status, health, completion, archive):
    command.add_command(_each)
