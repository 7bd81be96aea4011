"""
The entry point of the command.
"""

import os
import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType

_STDERR = 2


def main() -> None:
    """
    Run the command, and end the process with its status.
    """
    _hold_closed()
    _import_commands()
    from twisted_registry.cli.errors import SIGNAL_BASE

    status = _run() if sys.stdout is not None else _refuse()
    if status > SIGNAL_BASE:
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


def _import_commands() -> None:
    # This takes a good part of a second, in which Ctrl-C would print a traceback.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _end_early)
    import twisted_registry.cli.group  # noqa: F401

    for number, handler in before.items():
        signal.signal(number, handler)


def _end_early(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(_STDERR, b"twisted-registry: interrupted: nothing was done\n")
    os._exit(128 + number)


def _refuse() -> int:
    # Before anything is done that could not be told.
    from twisted_registry.cli.errors import ExitStatus, report

    report("stdout is closed: redirect it to /dev/null where nobody wants what is told")
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
        # click itself would end with 1, which here says something else.
        with suppress(KeyboardInterrupt, OSError):
            report("interrupted")
        return ExitStatus.INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except Exception:
        # A bug.  Python would end with 1, which here says something else as well.
        traceback.print_exc()
        return ExitStatus.USAGE
    return ExitStatus.DONE
