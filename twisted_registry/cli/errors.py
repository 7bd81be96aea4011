"""
Exit statuses of the commands, and the one path by which errors become a line on stderr and a status.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from twisted_registry.cli.text import harmless, harmless_line

if TYPE_CHECKING:
    from twisted_registry.domain.errors import RegistryError


class ExitStatus(IntEnum):
    """
    The exit statuses.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNCERTAIN = 4
    INTERRUPTED = 130
    TERMINATED = 143


SIGNAL_BASE = 128
"""A process that a signal ends has this status plus the signal's number."""

_TERMINATING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

EXIT_STATUS_HELP = """\b
Exit status:
  0    done
  1    the registry refused it, or does not have it
  2    wrong usage, or a local file cannot be read or written
  3    the registry is away, is too slow, or cannot read its disk now
  4    the version may have been created: check before you push again
  130  interrupted (143 by SIGTERM)
"""


def status_for(error: "RegistryError") -> ExitStatus:
    """
    Return the exit status for an error.
    """
    # Imported late: it imports gRPC, which the help does not need.
    from twisted_registry.client.errors import (
        CommitUncertain,
        CreationUncertain,
        DataChanged,
        DeadlineExceeded,
        StorageUnavailable,
        Unavailable,
    )

    if isinstance(error, CreationUncertain | CommitUncertain):
        return ExitStatus.UNCERTAIN
    if isinstance(error, DataChanged):
        return ExitStatus.USAGE
    if isinstance(error, Unavailable | StorageUnavailable | DeadlineExceeded):
        return ExitStatus.UNREACHABLE
    return ExitStatus.FAILED


def report(text: str) -> None:
    """
    Print a line to stderr.
    """
    click.echo(f"twisted-registry: {harmless_line(text)}", err=True)


def fail(text: str, status: ExitStatus = ExitStatus.FAILED) -> NoReturn:
    """
    Print a line to stderr, and exit.
    """
    report(text)
    sys.exit(status)


class _Terminated(SystemExit):
    """
    A terminating signal was received.
    """


@contextmanager
def exit_on_interrupt(describe_outcome: Callable[[], str] | None = None) -> Iterator[None]:
    """
    Exit with one line on stderr if the context is interrupted.

    Args:
        describe_outcome: returns what became of the work; it may ask the registry, which can take a few seconds.
            ``None`` if the work changes nothing.
    """
    try:
        yield
    except (KeyboardInterrupt, click.Abort, _Terminated) as interruption:
        status = interruption.code if isinstance(interruption, _Terminated) else ExitStatus.INTERRUPTED
        # A second interrupt cancels the description.  A closed terminal takes no line.
        with suppress(KeyboardInterrupt, _Terminated, OSError):
            report("interrupted" if describe_outcome is None else f"interrupted: {describe_outcome()}")
        sys.exit(status)


@contextmanager
def exit_quietly_on_interrupt() -> Iterator[None]:
    """
    Exit without a line if the context is interrupted: for work that nobody else ends.
    """
    try:
        yield
    except (KeyboardInterrupt, _Terminated) as interruption:
        sys.exit(interruption.code if isinstance(interruption, _Terminated) else ExitStatus.INTERRUPTED)


@contextmanager
def exit_on_error(status_for: "Callable[[RegistryError], ExitStatus]" = status_for) -> Iterator[None]:
    """
    Exit with one line on stderr if the context fails with an expected error, or is interrupted.

    Args:
        status_for: returns the exit status for an error.
    """
    from twisted_registry.domain.errors import RegistryError

    # A signal that is ignored, as under nohup, stays ignored.
    handled = [number for number in _TERMINATING_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _terminate) for number in handled}
    try:
        with exit_on_interrupt(), exit_on_os_error():
            yield
    except RegistryError as error:
        # Imported late: it imports gRPC.
        from twisted_registry.cli.advice import explain

        fail(explain(error), status_for(error))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def exit_on_os_error() -> Iterator[None]:
    """
    Exit with one line on stderr if a file or a stream cannot be read or written.
    """
    try:
        yield
        with os_errors_about("stdout"):
            sys.stdout.flush()
    except OSError as error:
        discard_stdout()
        # The reader of the pipe closed it because it wants no more.
        if not isinstance(error, BrokenPipeError):
            report(_reason(error))
        sys.exit(ExitStatus.USAGE)


@contextmanager
def os_errors_about(file: str) -> Iterator[None]:
    """
    Set the file name of every ``OSError`` raised in the context.

    Errors on an open file have no file name, and the name of a temporary file does not help the user.
    """
    try:
        yield
    except OSError as error:
        error.filename = file
        raise


def discard_stdout() -> None:
    """
    Discard what is buffered for stdout if it cannot be written.  Otherwise Python would try again at exit, and fail.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    # Raised in the main thread, so that temporary files are removed on the way out.
    raise _Terminated(SIGNAL_BASE + number)


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return text if error.filename is None else f"{harmless(str(error.filename))}: {text}"
