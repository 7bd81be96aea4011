"""
How a start that fails is told to whoever started the daemon.
"""

import os
from contextlib import suppress


class StartFailure(SystemExit, Exception):
    """
    Ends a start.

    In the foreground twistd lets a C{SystemExit} pass, and prints a page of traceback for anything else.  In the
    background it hands nothing but an C{Exception} on to the process that waits, which a C{SystemExit} would leave
    waiting.  So this is both.
    """

    def __init__(self, reason: str, status: int = 1) -> None:
        super().__init__(reason)
        self.code = status


class Terminal:
    """
    The standard error of whoever starts the daemon.

    Twistd takes it away: its log swallows what is written there, and in the background it is closed.
    """

    def __init__(self, standard_error: int = 2) -> None:
        try:
            self._descriptor: int | None = os.dup(standard_error)
        except OSError:  # started without one
            self._descriptor = None

    def say(self, line: str) -> None:
        """
        Write a line, if there is anyone to read it.
        """
        if self._descriptor is not None:
            with suppress(OSError):  # whoever started it is gone
                os.write(self._descriptor, f"{line}\n".encode(errors="replace"))

    def close(self) -> None:
        """
        Let go: a daemon that keeps its starter's pipe open keeps its starter waiting.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
