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

from twisted_registry.cli.advice import advised
from twisted_registry.cli.text import harmless, harmless_line
from twisted_registry.domain.errors import (
    CommitUncertain,
    CreationUncertain,
    DataChanged,
    DeadlineExceeded,
    RegistryError,
    StorageUnavailable,
    Unavailable,
)


class Exit(IntEnum):
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


SIGNALLED = 128
"""Above it are the statuses of those whom a signal has ended."""

_ENDS = (signal.SIGTERM, signal.SIGHUP)

EXITS = """\b
Exit status:
  0    done
  1    the registry refused it, or has no such thing
  2    wrong usage, or a local file cannot be read or written
  3    the registry cannot be reached, is too slow, or cannot read its disk now
  4    nobody knows whether the version was created: look before you push again
  130  interrupted (143 by SIGTERM)
"""


def exit_of(error: RegistryError) -> Exit:
    """
    Give the status for an error.
    """
    if isinstance(error, CreationUncertain | CommitUncertain):
        return Exit.UNCERTAIN
    if isinstance(error, DataChanged):
        return Exit.USAGE
    return Exit.UNREACHABLE if isinstance(error, Unavailable | StorageUnavailable | DeadlineExceeded) else Exit.REFUSED


def tell(text: str) -> None:
    """
    Say something on stderr.
    """
    click.echo(f"twisted-registry: {harmless_line(text)}", err=True)


def fail(text: str, status: Exit = Exit.REFUSED) -> NoReturn:
    """
    Say why it goes no further, and end.
    """
    tell(text)
    sys.exit(status)


class _Ended(SystemExit):
    """
    A signal came that ends processes.
    """


@contextmanager
def if_interrupted(outcome: Callable[[], str] | None = None) -> Iterator[None]:
    """
    Where what is done in the context is interrupted, say in a line what became of it, and end.

    Args:
        outcome: returns that; it may take a moment to find out.  ``None`` where nothing is changed.
    """
    try:
        yield
    except (KeyboardInterrupt, click.Abort, _Ended) as interruption:
        status = interruption.code if isinstance(interruption, _Ended) else Exit.INTERRUPTED
        # Who interrupts that as well does not want to know; a terminal that was closed takes no line.
        with suppress(KeyboardInterrupt, _Ended, OSError):
            tell("interrupted" if outcome is None else f"interrupted: {outcome()}")
        sys.exit(status)


@contextmanager
def ending_well() -> Iterator[None]:
    """
    Turn whatever can be foreseen to go wrong into a line on stderr and a status.
    """
    # What is ignored, as under nohup, stays so.
    before = {number: signal.signal(number, _ended) for number in _ENDS if signal.getsignal(number) != signal.SIG_IGN}
    try:
        with if_interrupted(), telling_os_errors():
            yield
    except RegistryError as error:
        fail(advised(error), exit_of(error))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def telling_os_errors() -> Iterator[None]:
    """
    Turn a file or a stream that cannot be read or written into a line on stderr and a status.
    """
    try:
        yield
        with naming("stdout"):
            sys.stdout.flush()
    except OSError as error:
        let_go_of_stdout()
        # Whoever has closed the pipe wants no more, and knows.
        if not isinstance(error, BrokenPipeError):
            tell(_reason(error))
        sys.exit(Exit.USAGE)


@contextmanager
def naming(file: str) -> Iterator[None]:
    """
    Say which file or stream it was that could not be read or written.  The system names none once it is open, and a
    temporary file's name tells nobody anything.
    """
    try:
        yield
    except OSError as error:
        error.filename = file
        raise


def let_go_of_stdout() -> None:
    """
    Where stdout cannot be written, forget what was to go there: Python would try again at its end, and fail.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    # Raised in the main thread, so that temporary files are removed on the way out.
    raise _Ended(SIGNALLED + number)


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return text if error.filename is None else f"{harmless(str(error.filename))}: {text}"
