"""
The policy: numbers, transient or archived, latest, eviction, and who is told.  It lives in the reactor's thread and
publishes snapshots for all others.
"""

from twisted_registry.registry.downloads import Framing
from twisted_registry.registry.registry import Registry

__all__ = ["Framing", "Registry"]
