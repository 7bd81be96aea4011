"""
The command, and the groups of commands in it.
"""

import os
import sys
import traceback
from contextlib import suppress

import click

from twisted_registry import __version__
from twisted_registry.cli._exits import EXITS, SIGNALLED, Exit
from twisted_registry.cli.archive import archive
from twisted_registry.cli.completion import completion
from twisted_registry.cli.listing import info, ls, versions
from twisted_registry.cli.models import rm, set_
from twisted_registry.cli.pull import pull
from twisted_registry.cli.push import push
from twisted_registry.cli.status import status
from twisted_registry.cli.watch import watch

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


@click.group(context_settings=_CONTEXT, help=_HELP, epilog=EXITS)
@click.version_option(__version__, prog_name="twisted-registry")
def command() -> None:
    """
    Run the command.
    """


for _each in (push, pull, ls, versions, info, rm, set_, watch, status, completion, archive):
    command.add_command(_each)


def main() -> None:
    """
    Run the command, and end the process with its status.
    """
    status = _run()
    if status > SIGNALLED:
        # Python would wait for its threads, of which one may wait for stdin.
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


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
