"""
Space on the medium that is freed when a change needs it.
"""

import errno
from collections.abc import Callable
from threading import RLock
from typing import TypeVar

T = TypeVar("T")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Space:
    """
    Space that can be freed.  May be used in any thread but the reactor's, because its lock is held while files are
    removed.

    Attributes:
        free: frees some space, and returns whether it did.
    """

    def __init__(self) -> None:
        self.free: Callable[[], bool] = lambda: False
        self._lock = RLock()
        self._is_freeing = False
        self._freed = 0

    def retrying(self, call: Callable[[], T]) -> T:
        """
        Make a call, and if the medium is full free some space and make it again, until it succeeds or nothing is left
        to be freed.

        Args:
            call: changes nothing if it fails.

        Raises:
            OSError: the call failed.
        """
        while True:
            freed = self._freed
            try:
                return call()
            except OSError as error:
                if error.errno not in _FULL or not self._free(freed):
                    raise

    def freeing(self, call: Callable[[], None]) -> None:
        """
        Make a call, and if the medium is full free some space for the next one.

        Args:
            call: must not be repeated, such as a sync: what one has lost, a second one would not report.

        Raises:
            OSError: the call failed.
        """
        freed = self._freed
        try:
            call()
        except OSError as error:
            if error.errno in _FULL:
                self._free(freed)
            raise

    def _free(self, freed: int) -> bool:
        with self._lock:
            if self._freed != freed:  # by another thread, meanwhile
                return True
            if self._is_freeing:
                return False
            self._is_freeing = True
            try:
                has_freed = self.free()
            finally:
                self._is_freeing = False
            self._freed += has_freed
            return has_freed
