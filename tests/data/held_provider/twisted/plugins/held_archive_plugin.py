"""
The plugin that offers the archive of ``held_archive`` to the daemon, as ``held:FOLDER:CONTROL``.
"""

from twisted_registry.daemon.providers import LazyArchiveProvider

held = LazyArchiveProvider("held", "held_archive.HeldArchive")
