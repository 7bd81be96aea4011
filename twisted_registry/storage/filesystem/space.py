"""
Space on the medium that is freed when a change needs it.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock, local
from typing import TypeVar

from twisted_registry.domain.errors import StorageFull

T = TypeVar("T")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_LEAST_BYTES = 1024 * 1024
"""A version smaller than this needs the space of one kept upload at most, so nothing is asked of the file system."""


def device_of(descriptor: int) -> int:
    """
    Return the number of the device that an open file or folder is on.

    Raises:
        OSError: it cannot be determined.
    """
    return os.fstat(descriptor).st_dev


def free_bytes(descriptor: int) -> int | None:
    """
    Return how much this process can write to the file system of an open file or folder; ``None`` if it does not say.
    """
    try:
        found = os.fstatvfs(descriptor)
    except OSError:
        return None
    if not found.f_blocks:
        return None
    return found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)  # root may use reserved blocks


def disk_bytes(descriptor: int) -> tuple[int, int]:
    """
    Return how much this process can write to the file system of an open folder, and how large that is.

    Raises:
        OSError: the file system does not say.
    """
    found = os.fstatvfs(descriptor)
    free = free_bytes(descriptor)
    if free is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return free, found.f_frsize * found.f_blocks


class Space:
    """
    Space that can be freed.  May be used in any thread but the reactor's, because its lock is held while files are
    removed.

    Attributes:
        free: frees some space on a device, or on any for ``None``, and returns whether it did.
        freeable_bytes: returns how much could be freed on a device.
        free_bytes: returns how much is free; see the function.
    """

    def __init__(self) -> None:
        self.free: Callable[[int | None], bool] = lambda device: False
        self.freeable_bytes: Callable[[int], int] = lambda device: 0
        self.free_bytes: Callable[[int], int | None] = free_bytes
        self._lock = RLock()
        self._is_freeing = False
        self._freed = 0
        self._thread = local()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """
        Free nothing for the calls of this thread: they fail instead.
        """
        self._thread.keeps = True
        try:
            yield
        finally:
            self._thread.keeps = False

    def check(self, size_bytes: int, descriptor: int) -> None:
        """
        Check that so much can be written, so that nothing is freed for what can never fit.

        Args:
            descriptor: an open folder on the file system.

        Raises:
            StorageFull: it cannot, even if all is freed.
            OSError: this cannot be determined.
        """
        if size_bytes < _LEAST_BYTES:
            return
        found = self.free_bytes(descriptor)
        if found is None or found >= size_bytes:
            return
        freeable = self.freeable_bytes(device_of(descriptor))
        if found + freeable < size_bytes:
            raise StorageFull(
                os.strerror(errno.ENOSPC),
                f"{size_bytes} bytes are needed, {found} are free, and interrupted uploads hold {freeable}",
            )

    def retrying(self, call: Callable[[], T], descriptor: int | None = None) -> T:
        """
        Make a call, and if the medium is full free some space and make it again, until it succeeds, nothing is left to
        be freed, or freeing does not help.

        Args:
            call: changes nothing if it fails.
            descriptor: an open file or folder on the file system that the call needs; ``None`` if it is not known.

        Raises:
            OSError: the call failed.
        """
        helps = True
        while True:
            freed = self._freed
            try:
                return call()
            except OSError as error:
                if error.errno not in _FULL or not helps:
                    raise
                has_freed, helps = self._free(freed, descriptor)
                if not has_freed:
                    raise

    def freeing(self, call: Callable[[], None], descriptor: int | None = None) -> None:
        """
        Make a call, and if the medium is full free some space for the next one.

        Args:
            call: must not be repeated, such as a sync: what one has lost, a second one would not report.
            descriptor: see ``retrying``.

        Raises:
            OSError: the call failed.
        """
        freed = self._freed
        try:
            call()
        except OSError as error:
            if error.errno in _FULL:
                self._free(freed, descriptor)
            raise

    def _free(self, freed: int, descriptor: int | None) -> tuple[bool, bool]:
        # Returns whether something was freed, and whether more space is free than before, as far as that is known.
        if getattr(self._thread, "keeps", False):
            return False, False
        with self._lock:
            if self._freed != freed:  # by another thread, meanwhile
                return True, True
            if self._is_freeing:
                return False, False
            self._is_freeing = True
            try:
                before = None if descriptor is None else self.free_bytes(descriptor)
                has_freed = self.free(None if descriptor is None else device_of(descriptor))
                after = None if descriptor is None else self.free_bytes(descriptor)
            finally:
                self._is_freeing = False
            self._freed += has_freed
            return has_freed, before is None or after is None or after > before
