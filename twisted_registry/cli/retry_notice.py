"""
A notice on stderr while the client retries.
"""

import logging
import time
from collections.abc import Callable

from twisted_registry.cli.advice import explain
from twisted_registry.client.errors import (
    RegistryError,
    Unreachable,
)

LOGGER = "twisted_registry.client.tries"
"""The logger to which the client writes each retry."""

_NOTICE_AFTER_SECONDS = 2.0
"""Shorter failures are not worth a line."""

_SEPARATE_AFTER_SECONDS = 15.0
"""After so long without a failure, the next one is a new failure."""


class RetryNotice(logging.Handler):
    """
    A log handler that prints one line for each sequence of retries.
    """

    def __init__(self, say: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """

        Args:
            say: prints a line; by default to stderr, above a progress bar.
            clock: returns the time in seconds.
        """
        super().__init__(logging.DEBUG)
        self._say = say or _report_beside_bar
        self._clock = clock
        self._began: float | None = None
        self._last = 0.0
        self._is_reported = False

    def emit(self, record: logging.LogRecord) -> None:
        """
        Record a retry.
        """
        now = self._clock()
        if self._began is None or now - self._last > _SEPARATE_AFTER_SECONDS:
            self._began, self._is_reported = now, False
        self._last = now
        if not self._is_reported and now - self._began >= _NOTICE_AFTER_SECONDS:
            self._is_reported = True
            self._say(f"waiting {_reason(record)}")


def _report_beside_bar(text: str) -> None:
    # Imported late: it imports rich, and most commands print no notice.
    from twisted_registry.cli.progress import report_beside_bar

    report_beside_bar(text)


def _reason(record: logging.LogRecord) -> str:
    error = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if isinstance(error, Unreachable):
        return f"for the registry at {error.address} ({error.reason})"
    return f"({explain(error) if isinstance(error, RegistryError) else record.getMessage()})"


def report_retries() -> None:
    """
    Print a notice whenever the client retries for long, from now on.
    """
    logging.getLogger("twisted_registry.client").handlers = [logging.NullHandler()]
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [RetryNotice()]
