"""
Memory that versions have left, and none will want soon.

What one version leaves is kept for the next.  But where much went at once, as with a model that is deleted, or where
what is free lies in pieces too small for what comes, the system gets it back: else the process would take half as much
again as the versions in it.
"""

from collections.abc import Callable

from zope.interface import implementer

from twisted_registry.contracts.registry import IObserver

_MIB = 1024 * 1024
BESIDE_BYTES = 128 * _MIB
"""What the process takes beside versions, with uploads and downloads of the usual size."""

WORTH_BYTES = 64 * _MIB
"""How much more than the least must be there, so that it is not done again and again."""


@implementer(IObserver)
class Tidying:
    """
    Looks, whenever a model has changed, whether the process takes much more than it holds.
    """

    def __init__(
        self, held_bytes: Callable[[], int], resident_bytes: Callable[[], int], give_back: Callable[[], None]
    ) -> None:
        """

        Args:
            held_bytes: tells how much the versions have that are held now.
            resident_bytes: tells how much memory the process has; 0 where that cannot be told.
            give_back: gives what is free back to the system.
        """
        self._held_bytes = held_bytes
        self._resident_bytes = resident_bytes
        self._give_back = give_back
        self._least_bytes = resident_bytes()

    def changed(self, model_id: str) -> None:
        """See ``IObserver.changed``."""
        resident_bytes = self._resident_bytes()
        self._least_bytes = min(self._least_bytes, resident_bytes)
        grown = resident_bytes - self._least_bytes >= WORTH_BYTES
        if grown and resident_bytes > self._held_bytes() * 11 // 10 + BESIDE_BYTES:
            self._least_bytes = resident_bytes
            self._give_back()
