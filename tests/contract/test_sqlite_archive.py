"""
The example's archive, in a database, keeps the contract.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contract import archive, archive_identity, archive_models, archive_unavailable, archive_versions
from tests.support.archives import put
from twisted_registry.contracts.archive import IArchive
from twisted_registry.daemon.providers import LazyArchiveProvider
from twisted_registry.domain.errors import CorruptModel, CorruptVersion
from twisted_registry.domain.models import Chunk

EXAMPLE = Path(__file__).parents[2] / "examples" / "sqlite_provider"


class _InDatabase(archive.ArchiveContract):
    path = ""

    def make_archive(self) -> IArchive:
        """
        Make an archive on the test's own database.
        """
        self.path = self.path or f"{self.mktemp()}.db"
        return self.make_in(self.path)

    def make_in(self, path: str) -> IArchive:
        """
        Make an archive on a database.
        """
        self.patch(sys, "path", [*sys.path, str(EXAMPLE)])
        return LazyArchiveProvider("sqlite", "sqlite_archive.SqliteArchive").create_archive(path)


class SqliteModelTests(_InDatabase, archive_models.ModelContract):
    """
    The suite for models, on the example.
    """


class SqliteVersionTests(_InDatabase, archive_versions.VersionContract):
    """
    The suite for versions, on the example.
    """


class _FailingConnection:
    """
    A connection to a database whose disk is away.
    """

    in_transaction = False

    def execute(self, *arguments: object) -> None:
        """See ``sqlite3.Connection.execute``."""
        raise sqlite3.OperationalError("disk I/O error")


class SqliteUnavailableTests(_InDatabase, archive_unavailable.UnavailableContract):
    """
    The suite for a medium that fails, on the example.
    """

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """
        Have every statement fail.
        """
        database: Any = self.archive._database  # type: ignore[attr-defined]
        connection, database._connection = database._connection, _FailingConnection()
        try:
            yield
        finally:
            database._connection = connection


class SqliteIdentityTests(_InDatabase, archive_identity.IdentityContract):
    """
    The suite for identities, on the example.
    """

    def make_elsewhere(self) -> IArchive:
        """
        Make an archive on another database.
        """
        return self.make_in(f"{self.mktemp()}.db")


class SqliteDamageTests(_InDatabase):
    """
    What only a database knows.
    """

    def damage(self, statement: str) -> None:
        """
        Change the database behind the archive's back.
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
        A version of which a piece is missing is damaged.
        """
        self.save("m")
        put(self.archive, "m", 1)
        self.damage("DELETE FROM pieces")
        self.assertRaises(CorruptVersion, self.archive.load_version, "m", 1)

    def test_unreadable(self) -> None:
        """
        So is one whose info is no info, and a model whose user data is none.
        """
        self.save("m")
        put(self.archive, "m", 1)
        self.damage("UPDATE versions SET info = '{}'")
        self.assertRaises(CorruptVersion, self.archive.load_version, "m", 1)
        self.damage("UPDATE models SET user_data = 'none'")
        self.assertRaises(CorruptModel, self.archive.load_model, "m")

    def test_nothing_left(self) -> None:
        """
        A version that is given up, or whose model is deleted, leaves nothing, and one that is read goes after that.
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
