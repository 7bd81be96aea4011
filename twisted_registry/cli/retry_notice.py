"""
Who waits is told what for.
"""

import logging
import time
from collections.abc import Callable

from twisted_registry.cli.advice import explain
from twisted_registry.cli.progress import report_beside_bar
from twisted_registry.client.errors import (
    RegistryError,
    Unreachable,
)

LOGGER = "twisted_registry.client.tries"
"""Where the client says each time that it tries something again, and why."""

_SOON_SECONDS = 2.0
"""What is mended within this is not worth a line."""

_STREAK_SECONDS = 15.0
"""Where nothing fails for so long, what fails next is something new."""


class RetryNotice(logging.Handler):
    """
    Says once, for as long as it lasts, that something is tried again and again.
    """

    def __init__(
        self, say: Callable[[str], None] = report_beside_bar, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """

        Args:
            clock: tells the time in seconds.
        """
        super().__init__(logging.DEBUG)
        self._say = say
        self._clock = clock
        self._began: float | None = None
        self._last = 0.0
        self._has_said = False

    def emit(self, record: logging.LogRecord) -> None:
        """
        Take note of one more try.
        """
        now = self._clock()
        if self._began is None or now - self._last > _STREAK_SECONDS:
            self._began, self._has_said = now, False
        self._last = now
        if not self._has_said and now - self._began >= _SOON_SECONDS:
            self._has_said = True
            self._say(f"waiting {_reason(record)}")


def _reason(record: logging.LogRecord) -> str:
    error = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if isinstance(error, Unreachable):
        return f"for the registry at {error.address} ({error.reason})"
    return f"({explain(error) if isinstance(error, RegistryError) else record.getMessage()})"


def report_retries() -> None:
    """
    Have it said from now on.
    """
    logging.getLogger("twisted_registry.client").handlers = [logging.NullHandler()]
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [RetryNotice()]
