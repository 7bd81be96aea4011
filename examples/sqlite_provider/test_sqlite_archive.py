"""
The contract of archives, as tests of this one: run ``python -m unittest`` here.
"""

from tempfile import TemporaryDirectory
from unittest import TestCase

from sqlite_archive import SqliteArchive

from twisted_registry.testing import ArchiveContract, ArchiveModelContract, ArchiveVersionContract


class SqliteCase(ArchiveContract, TestCase):
    def setUp(self):
        self.directory = self.enterContext(TemporaryDirectory())
        super().setUp()

    def make_archive(self):
        return SqliteArchive(f"{self.directory}/models.db")


class SqliteModelTests(SqliteCase, ArchiveModelContract):
    pass


class SqliteVersionTests(SqliteCase, ArchiveVersionContract):
    pass
