"""
Offers the archive of L{gated_archive} to the daemon, as C{gated:FOLDER:CONTROL}.
"""

from twisted_registry.daemon.providers import LazyArchiveProvider

gated = LazyArchiveProvider("gated", "gated_archive.GatedArchive")
