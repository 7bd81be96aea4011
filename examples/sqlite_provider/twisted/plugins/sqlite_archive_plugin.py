"""
The plugin that offers ``sqlite_archive`` to the daemon: ``twistd model-registry --archive sqlite:models.db``.

Every twistd on the machine imports this module, so it imports almost nothing.
"""

from twisted_registry.daemon.providers import LazyArchiveProvider

sqlite = LazyArchiveProvider("sqlite", "sqlite_archive.SqliteArchive")
