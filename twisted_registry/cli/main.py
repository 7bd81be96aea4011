"""
The command, and the groups of commands in it.
"""

import os
import sys
import traceback
from contextlib import suppress
from typing import Any

import click

from twisted_registry import __version__
from twisted_registry.cli._exits import EXITS, SIGNALLED, Exit, tell, telling_os_errors
from twisted_registry.cli.archive import archive
from twisted_registry.cli.completion import completion
from twisted_registry.cli.health import health
from twisted_registry.cli.listing import info, ls, versions
from twisted_registry.cli.models import rm, set_
from twisted_registry.cli.pull import pull
from twisted_registry.cli.push import push
from twisted_registry.cli.status import status
from twisted_registry.cli.watch import watch

_STDERR = 2

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
        with telling_os_errors():
            return super().make_context(*given, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """
        Run the command that is named.
        """
        with telling_os_errors():
            return super().invoke(ctx)


@click.group(cls=Root, context_settings=_CONTEXT, help=_HELP, epilog=EXITS)
@click.version_option(__version__, prog_name="twisted-registry")
def command() -> None:
    """
    Run the command.
    """


for _each in (push, pull, ls, versions, info, rm, set_, watch, status, health, completion, archive):
    command.add_command(_each)


def main() -> None:
    """
    Run the command, and end the process with its status.
    """
    _hold_closed()
    status = _run() if sys.stdout is not None else _refuse()
    if status > SIGNALLED:
        # Python would wait for its threads, of which one may wait for stdin.
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


def _hold_closed() -> None:
    # What is opened next would have the number of a stream that is closed, and get what is written there.
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lasts


def _refuse() -> int:
    # Before anything is done that could not be told.
    tell("stdout is closed: redirect it to /dev/null where nobody wants what is told")
    return Exit.USAGE


def _run() -> int:
    try:
        command.main(prog_name="twisted-registry", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        # click itself would end with 1, which here says something else.
        return Exit.INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except Exception:
        # A bug.  Python would end with 1, which here says something else as well.
        traceback.print_exc()
        return Exit.USAGE
    return Exit.DONE
