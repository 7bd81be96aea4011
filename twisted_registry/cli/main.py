"""
The command, and the groups of commands in it.
"""

import sys
import traceback

import click

from twisted_registry import __version__
from twisted_registry.cli.archive import archive

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="twisted-registry")
def command() -> None:
    """Look after a model registry."""


command.add_command(archive)


def main() -> None:
    """
    Run the command, and end the process with its status.
    """
    try:
        status = command.main(prog_name="twisted-registry", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        # click itself would end with 1, which here says something else.
        status = 130
    except Exception:
        # A bug.  Python would end with 1, which here says something else as well.
        traceback.print_exc()
        status = 2
    sys.exit(status)
