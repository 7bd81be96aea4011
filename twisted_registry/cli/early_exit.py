"""
The end of a command on a signal while Python still imports it.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_STDERR = 2


@contextmanager
def exit_early_on_signal() -> Iterator[None]:
    """
    Exit with one line on SIGINT and SIGTERM for as long as the context lasts.

    Imports take a good part of a second, in which Ctrl-C would print a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _exit)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(_STDERR, b"twisted-registry: interrupted: nothing was done\n")
    os._exit(128 + number)
