"""
Contract tests of the example's archive, which is in a database.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.contracts.archive import IArchive
from twisted_registry.daemon.providers import LazyArchiveProvider
from twisted_registry.domain.errors import CorruptModel, CorruptVersion
from twisted_registry.domain.models import Chunk
from twisted_registry.testing import (
    ArchiveContract,
    ArchiveIdentityContract,
    ArchiveModelContract,
    ArchiveUnavailableContract,
    ArchiveVersionContract,
)
from twisted_registry.testing.samples import put

EXAMPLE = Path(__file__).parents[2] / "examples" / "sqlite_provider"


class _InDatabase(ArchiveContract, SynchronousTestCase):
    path = ""

    def make_archive(self) -> IArchive:
        """
        Make an archive on the test's database.
        """
        self.path = self.path or f"{self.mktemp()}.db"
        return self.make_in(self.path)

    def make_in(self, path: str) -> IArchive:
        """
        Make an archive on a database.
        """
        self.patch(sys, "path", [*sys.path, str(EXAMPLE)])
        return LazyArchiveProvider("sqlite", "sqlite_archive.SqliteArchive").create_archive(path)


class SqliteModelTests(_InDatabase, ArchiveModelContract):
    """
    The contract for models, on the example.
    """


class SqliteVersionTests(_InDatabase, ArchiveVersionContract):
    """
    The contract for versions, on the example.
    """


class _FailingConnection:
    """
    A connection to a database whose disk is away.
    """

    in_transaction = False

    def execute(self, *arguments: object) -> None:
        """See ``sqlite3.Connection.execute``."""
        raise sqlite3.OperationalError("disk I/O error")


class SqliteUnavailableTests(_InDatabase, ArchiveUnavailableContract):
    """
    The contract for a medium that fails, on the example.
    """

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """
        Make every statement fail.
        """
        database: Any = self.archive._database  # type: ignore[attr-defined]
        connection, database._connection = database._connection, _FailingConnection()
        try:
            yield
        finally:
            database._connection = connection


class SqliteIdentityTests(_InDatabase, ArchiveIdentityContract):
    """
    The contract for identities, on the example.
    """

    def make_other_archive(self) -> IArchive:
        """
        Make an archive on another database.
        """
        return self.make_in(f"{self.mktemp()}.db")


class SqliteDamageTests(_InDatabase):
    """
    Damage in the database, and what stays in it.
    """

    def damage(self, statement: str) -> None:
        """
        Change the database while the archive is closed.
        """
        self.archive.close()
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement)
        connection.close()
        self.archive.open()

    def pieces(self) -> int:
        """
        Count the pieces in the database.
        """
        self.archive.close()
        with sqlite3.connect(self.path) as connection:
            ((count,),) = connection.execute("SELECT count(*) FROM pieces")
        connection.close()
        return int(count)

    def test_missing_piece(self) -> None:
        """
        A version with a missing piece is damaged.
        """
        self.save("m")
        put(self.archive, "m", 1)
        self.damage("DELETE FROM pieces")
        self.assertRaises(CorruptVersion, self.archive.load_version, "m", 1)

    def test_unreadable(self) -> None:
        """
        A version with an unreadable info is damaged, and so is a model with unreadable metadata.
        """
        self.save("m")
        put(self.archive, "m", 1)
        self.damage("UPDATE versions SET info = '{}'")
        self.assertRaises(CorruptVersion, self.archive.load_version, "m", 1)
        self.damage("UPDATE models SET user_data = 'none'")
        self.assertRaises(CorruptModel, self.archive.load_model, "m")

    def test_nothing_left(self) -> None:
        """
        An aborted version leaves nothing, and so does a deleted one, once its last reader is closed.
        """
        self.save("m")
        put(self.archive, "m", 1)
        reader = self.archive.open_version("m", 1)
        self.archive.delete_model("m")
        reader.close()
        writer = self.archive.create_version("m")
        writer.write(Chunk(b"data"))
        writer.abort()
        self.assertEqual(self.pieces(), 0)
