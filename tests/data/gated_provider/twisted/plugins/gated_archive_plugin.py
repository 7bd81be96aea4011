"""
Offers the archive of ``gated_archive`` to the daemon, as ``gated:FOLDER:CONTROL``.
"""

from twisted_registry.daemon.providers import LazyArchiveProvider

gated = LazyArchiveProvider("gated", "gated_archive.GatedArchive")
