"""
Memory that versions have left, and none will want soon.

What one version leaves is kept for the next.  But where much went at once, as with a model that is deleted, the system
gets it back.
"""

from collections.abc import Callable

from zope.interface import implementer

from twisted_registry.interfaces import IObserver

WORTH_BYTES = 64 * 1024 * 1024


@implementer(IObserver)
class Tidying:
    """
    Looks, whenever a model has changed, whether much less is held than was.
    """

    def __init__(self, held_bytes: Callable[[], int], give_back: Callable[[], None]) -> None:
        """
        @param held_bytes: tells how much is held now.
        @param give_back: gives what is free back to the system.
        """
        self._held_bytes = held_bytes
        self._give_back = give_back
        self._most_bytes = 0

    def changed(self, model_id: str) -> None:
        """See L{IObserver.changed}."""
        held_bytes = self._held_bytes()
        self._most_bytes = max(self._most_bytes, held_bytes)
        if self._most_bytes - held_bytes >= WORTH_BYTES:
            self._most_bytes = held_bytes
            self._give_back()
