"""
Offers the archive of ``sqlite_archive`` to the daemon: ``twistd model-registry --archive sqlite:models.db``.

Every twistd on the machine imports this module, whatever it runs: so it imports next to nothing.
"""

from twisted_registry.daemon.providers import LazyArchiveProvider

sqlite = LazyArchiveProvider("sqlite", "sqlite_archive.SqliteArchive")
