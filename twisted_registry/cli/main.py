"""
The entry point of the command.
"""

import os
import sys
import traceback
from contextlib import suppress

from twisted_registry.cli.early_exit import exit_early_on_signal

_STDERR = 2


def main() -> None:
    """
    Run the command, and exit with its status.
    """
    _reserve_standard_descriptors()
    with exit_early_on_signal():
        import twisted_registry.cli.group  # noqa: F401
    from twisted_registry.cli.errors import SIGNAL_BASE

    status = _run() if sys.stdout is not None else _refuse()
    if status > SIGNAL_BASE:
        # Python would wait for its threads, and one of them may wait for stdin.
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


def _reserve_standard_descriptors() -> None:
    # Otherwise the next file opened gets the number of a closed stream, and everything written to that stream.
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # open for as long as the process runs


def _refuse() -> int:
    # This comes before the command does anything whose result it could not print.
    from twisted_registry.cli.errors import ExitStatus, report

    report("stdout is closed: redirect it to /dev/null if you do not want the output")
    return ExitStatus.USAGE


def _run() -> int:
    import click

    from twisted_registry.cli.errors import ExitStatus, report
    from twisted_registry.cli.group import command

    try:
        command.main(prog_name="twisted-registry", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        # click's own status is 1, which means something else here.
        with suppress(KeyboardInterrupt, OSError):
            report("interrupted")
        return ExitStatus.INTERRUPTED
    except SystemExit as exited:
        return exited.code if isinstance(exited.code, int) else 0
    except Exception:
        # A bug.  Python's own status is 1 as well.
        traceback.print_exc()
        return ExitStatus.USAGE
    return ExitStatus.DONE
