"""
With what the commands that talk to a registry end.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from types import FrameType
from typing import NoReturn

import click

from twisted_registry.cli.advice import explain
from twisted_registry.cli.text import harmless, harmless_line
from twisted_registry.client.errors import (
    CommitUncertain,
    CreationUncertain,
    DataChanged,
    DeadlineExceeded,
    RegistryError,
    StorageUnavailable,
    Unavailable,
)


class ExitStatus(IntEnum):
    """
    The statuses.
    """

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNCERTAIN = 4
    INTERRUPTED = 130
    TERMINATED = 143


SIGNAL_BASE = 128
"""Above it are the statuses of those whom a signal has ended."""

_ENDS = (signal.SIGTERM, signal.SIGHUP)

EXIT_STATUS_HELP = """\b
Exit status:
  0    done
  1    the registry refused it, or has no such thing
  2    wrong usage, or a local file cannot be read or written
  3    the registry cannot be reached, is too slow, or cannot read its disk now
  4    nobody knows whether the version was created: look before you push again
  130  interrupted (143 by SIGTERM)
"""


def status_for(error: RegistryError) -> ExitStatus:
    """
    Give the status for an error.
    """
    if isinstance(error, CreationUncertain | CommitUncertain):
        return ExitStatus.UNCERTAIN
    if isinstance(error, DataChanged):
        return ExitStatus.USAGE
    return (
        ExitStatus.UNREACHABLE
        if isinstance(error, Unavailable | StorageUnavailable | DeadlineExceeded)
        else ExitStatus.REFUSED
    )


def report(text: str) -> None:
    """
    Say something on stderr.
    """
    click.echo(f"twisted-registry: {harmless_line(text)}", err=True)


def fail(text: str, status: ExitStatus = ExitStatus.REFUSED) -> NoReturn:
    """
    Say why it goes no further, and end.
    """
    report(text)
    sys.exit(status)


class _Terminated(SystemExit):
    """
    A signal came that ends processes.
    """


@contextmanager
def exit_on_interrupt(outcome: Callable[[], str] | None = None) -> Iterator[None]:
    """
    Where what is done in the context is interrupted, say in a line what became of it, and end.

    Args:
        outcome: returns that; it may take a moment to find out.  ``None`` where nothing is changed.
    """
    try:
        yield
    except (KeyboardInterrupt, click.Abort, _Terminated) as interruption:
        status = interruption.code if isinstance(interruption, _Terminated) else ExitStatus.INTERRUPTED
        # Who interrupts that as well does not want to know; a terminal that was closed takes no line.
        with suppress(KeyboardInterrupt, _Terminated, OSError):
            report("interrupted" if outcome is None else f"interrupted: {outcome()}")
        sys.exit(status)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """
    Turn whatever can be foreseen to go wrong into a line on stderr and a status.
    """
    # What is ignored, as under nohup, stays so.
    before = {number: signal.signal(number, _ended) for number in _ENDS if signal.getsignal(number) != signal.SIG_IGN}
    try:
        with exit_on_interrupt(), exit_on_os_error():
            yield
    except RegistryError as error:
        fail(explain(error), status_for(error))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def exit_on_os_error() -> Iterator[None]:
    """
    Turn a file or a stream that cannot be read or written into a line on stderr and a status.
    """
    try:
        yield
        with os_errors_about("stdout"):
            sys.stdout.flush()
    except OSError as error:
        discard_stdout()
        # Whoever has closed the pipe wants no more, and knows.
        if not isinstance(error, BrokenPipeError):
            report(_reason(error))
        sys.exit(ExitStatus.USAGE)


@contextmanager
def os_errors_about(file: str) -> Iterator[None]:
    """
    Say which file or stream it was that could not be read or written.  The system names none once it is open, and a
    temporary file's name tells nobody anything.
    """
    try:
        yield
    except OSError as error:
        error.filename = file
        raise


def discard_stdout() -> None:
    """
    Where stdout cannot be written, forget what was to go there: Python would try again at its end, and fail.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    # Raised in the main thread, so that temporary files are removed on the way out.
    raise _Terminated(SIGNAL_BASE + number)


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return text if error.filename is None else f"{harmless(str(error.filename))}: {text}"
