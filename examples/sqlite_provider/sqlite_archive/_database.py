"""
The database: one connection that many threads share.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any
from uuid import uuid4

from twisted_registry.domain.errors import CannotStart, RegistryError, StorageFailure, StorageFull, StorageReadOnly

# EXCLUSIVE: the first access takes a lock and keeps it.  FULL: commits survive a power cut.
_PREPARATION = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS models (model_id TEXT PRIMARY KEY, user_data TEXT NOT NULL, reserved INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS versions (
    model_id TEXT REFERENCES models ON DELETE CASCADE, version_number INTEGER, upload TEXT NOT NULL, info TEXT NOT NULL,
    PRIMARY KEY (model_id, version_number)
);
CREATE TABLE IF NOT EXISTS pieces (upload TEXT, position INTEGER, data BLOB NOT NULL, PRIMARY KEY (upload, position));
CREATE TABLE IF NOT EXISTS identity (archive_id TEXT NOT NULL);
DELETE FROM pieces WHERE upload NOT IN (SELECT upload FROM versions);
"""


def _translated(error: sqlite3.Error) -> RegistryError:
    """
    Translate an error of SQLite into one of the registry, which decides the code that clients see.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(str(error))
    if code == sqlite3.SQLITE_READONLY:
        return StorageReadOnly(str(error))
    return StorageFailure(str(error))


class Database:
    """
    One connection that many threads share, one at a time.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._readers: Counter[str] = Counter()
        self._doomed: set[str] = set()

    def open(self) -> None:
        """
        Connect, and lock everybody else out.
        """
        if self._connection is not None:
            raise CannotStart(f"the database {self.path!r} is open already")
        try:
            connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                connection.executescript(_PREPARATION)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise CannotStart(f"the database {self.path!r} cannot be used: {error}") from error
        self._connection = connection

    def archive_id(self) -> str:
        """
        Return the id of the archive, which it gets when it is opened for the first time.
        """
        with self.transaction() as connection:
            for (archive_id,) in connection.execute("SELECT archive_id FROM identity"):
                return str(archive_id)
            connection.execute("INSERT INTO identity VALUES (?)", (archive_id := str(uuid4()),))
        return archive_id

    def close(self) -> None:
        """
        Close the connection.
        """
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """
        Hold the connection exclusively.
        """
        with self._lock:
            if self._connection is None:
                raise StorageFailure("the database is closed")
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise _translated(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Run statements as one transaction.
        """
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """
        Return the rows of a query.
        """
        with self.connected() as connection:
            return connection.execute(query, values).fetchall()

    def drop(self, upload: str) -> None:
        """
        Drop the pieces of an upload once nobody reads them.
        """
        with self._lock:
            if self._readers[upload]:
                self._doomed.add(upload)
                return
            self._doomed.discard(upload)
            with self.transaction() as connection:
                connection.execute("DELETE FROM pieces WHERE upload = ?", (upload,))

    def begin_reading(self, upload: str) -> None:
        """
        Keep the pieces of an upload, even if its version is deleted.
        """
        with self._lock:
            self._readers[upload] += 1

    def end_reading(self, upload: str) -> None:
        """
        Stop keeping them.
        """
        with self._lock:
            self._readers[upload] -= 1
            self._readers += Counter()  # removes those at 0
            if upload in self._doomed:
                self.drop(upload)
