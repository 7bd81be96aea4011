"""
The heap trimmer: returns memory to the system that versions have left and new ones will not need soon.

The memory of one version is kept for the next.  But if much is freed at once, as with a deleted model, or if the free
memory lies in pieces too small for what comes, the system gets it back: otherwise the process would take half as much
again as its versions.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.events import Event, ModelDeleted, VersionCommitted, VersionDeleted, VersionEvicted

_MIB = 1024 * 1024
BESIDE_BYTES = 128 * _MIB
"""The memory of the process apart from its versions, with uploads and downloads of the usual size."""

WORTH_BYTES = 64 * _MIB
"""The least growth since the last trim that makes another one worthwhile."""

DELAY_SECONDS = 0.1
"""How long to wait after an event, so that a commit does not wait for /proc, and many commits cost one check."""


class HeapTrimmer:
    """
    A check, soon after versions came or went, whether the process takes much more memory than its versions.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        held_bytes: Callable[[], int],
        resident_bytes: Callable[[], int],
        trim: Callable[[], None],
    ) -> None:
        """

        Args:
            held_bytes: returns the size of the versions in memory.
            resident_bytes: returns the memory of the process; 0 if that is unknown.
            trim: returns free memory to the system.
        """
        self._reactor = reactor
        self._held_bytes = held_bytes
        self._resident_bytes = resident_bytes
        self._trim = trim
        self._least_bytes = resident_bytes()
        self._is_scheduled = False

    def follow(self, registry: IRegistry) -> None:
        """
        Check after each event of a registry that changes its memory.
        """
        registry.subscribe(self.schedule, VersionCommitted, VersionEvicted, VersionDeleted, ModelDeleted)

    def schedule(self, event: Event) -> None:
        """
        Schedule a check, unless one is scheduled already.
        """
        if not self._is_scheduled:
            self._is_scheduled = True
            self._reactor.callLater(DELAY_SECONDS, self._check)

    def _check(self) -> None:
        self._is_scheduled = False
        resident_bytes = self._resident_bytes()
        self._least_bytes = min(self._least_bytes, resident_bytes)
        has_grown = resident_bytes - self._least_bytes >= WORTH_BYTES
        if has_grown and resident_bytes > self._held_bytes() * 11 // 10 + BESIDE_BYTES:
            self._least_bytes = resident_bytes
            self._trim()
