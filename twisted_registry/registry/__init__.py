"""
The policy: transient or archived versions, the latest one, eviction, and idempotent creation.

Its state belongs to the reactor's thread, which publishes frozen snapshots for all other threads.
"""

from twisted_registry.registry.background_acts import BackgroundActs
from twisted_registry.registry.downloads import Framing
from twisted_registry.registry.registry import Registry
from twisted_registry.registry.searches import Heap

__all__ = ["BackgroundActs", "Framing", "Heap", "Registry"]
