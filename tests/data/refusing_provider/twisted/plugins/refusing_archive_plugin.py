"""
The plugin that offers the archive of ``refusing_archive`` to the daemon, as ``refusing:FOLDER:CONTROL``.
"""

from twisted_registry.daemon.providers import LazyArchiveProvider

refusing = LazyArchiveProvider("refusing", "refusing_archive.refusing_archive")
