"""
The space on the archive's disk: a limit below which writes are not reported as served, and a warning before.
"""

import math
from collections.abc import Callable

from twisted.logger import Logger

_log = Logger(namespace="twisted_registry")

DEFAULT_MIN_BYTES = 2**30
_DEFAULT_SHARE = 20
_RECOVERY = 1.1
"""How much more than the limit must be free again, so that health does not change with each version."""

WARN_SECONDS = 3600.0
"""The least time between two warnings."""


class DiskSpace:
    """
    The limit on free space.
    """

    def __init__(self, archive: str, min_free_bytes: int | None, seconds: Callable[[], float]) -> None:
        """

        Args:
            archive: the location of the archive, for the log.
            min_free_bytes: the limit; ``None`` for the default, 0 for none.
            seconds: returns the time in seconds from any fixed point.
        """
        self._archive = archive
        self._min_free_bytes = min_free_bytes
        self._seconds = seconds
        self._is_low = False
        self._warned_seconds = -math.inf

    def _limit(self, size_bytes: int) -> int:
        if self._min_free_bytes is None:
            return min(DEFAULT_MIN_BYTES, size_bytes // _DEFAULT_SHARE)
        return self._min_free_bytes

    def problem(self, free_bytes: int, size_bytes: int) -> str:
        """
        Return why there is too little space, as a clause; empty if there is enough.  Log a warning at twice the limit.

        Args:
            free_bytes: how much can be written.
            size_bytes: the size of the disk.
        """
        limit = self._limit(size_bytes)
        self._is_low = free_bytes < limit * (_RECOVERY if self._is_low else 1)
        if self._is_low:
            return (
                f"the archive's disk has {_shown(free_bytes)} left, and --min-free-bytes is {_shown(limit)}: free some "
                "space"
            )
        if free_bytes < 2 * limit:
            self._warn(free_bytes, limit)
        return ""

    def _warn(self, free_bytes: int, limit: int) -> None:
        now = self._seconds()
        if now - self._warned_seconds < WARN_SECONDS:
            return
        self._warned_seconds = now
        _log.warn(
            "the disk of the archive {archive} has {free} left; below {limit}, health checks of writes return "
            "NOT_SERVING: free some space (see --min-free-bytes)",
            archive=self._archive,
            free=_shown(free_bytes),
            limit=_shown(limit),
        )


def _shown(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB"
