"""
An archive in one SQLite database: a small, complete example of a storage provider.

Data is in rows of ``pieces``, one for each chunk, so a version is never in memory as a whole.  Pieces belong to an
upload, and an upload becomes a version by the row of ``versions`` that names it::

    models      model_id | user_data | reserved
    versions    model_id | version_number | upload | info
    pieces      upload | position | data
    identity    archive_id

Pieces without a version belong to an upload in progress, or were left by a crash; the next start drops them.
"""

import json
import os
from contextlib import suppress
from uuid import uuid4

from attrs import asdict
from zope.interface import implementer

from sqlite_archive._database import Database
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import ArchiveIdentity, IIdentifiableArchive
from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter
from twisted_registry.domain.errors import (
    CannotStart,
    CommitUncertain,
    CorruptModel,
    CorruptVersion,
    RegistryError,
    StorageFailure,
    UnknownModel,
)
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo


@implementer(IArchiveWriter)
class SqliteWriter:
    """
    A writer of one version: each chunk is a separate transaction, so that one is in memory at a time.
    """

    def __init__(self, database: Database, model_id: str) -> None:
        self._database = database
        self._model_id = model_id
        self._upload = uuid4().hex
        self._position = 0
        self._over = False

    def _check(self) -> None:
        if self._over:
            raise StorageFailure("nothing more can be written to this version")

    def write(self, chunk: Chunk) -> None:
        self._check()
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO pieces VALUES (?, ?, ?)", (self._upload, self._position, chunk.data))
        self._position += 1

    def finish(self) -> None:
        # Each transaction was synced, so all data is durable already.
        self._check()

    def commit(self, info: VersionInfo) -> None:
        self._check()
        values = (self._model_id, info.version_number, self._upload, json.dumps(asdict(info)))
        try:
            with self._database.transaction() as connection:
                if not connection.execute("SELECT 1 FROM models WHERE model_id = ?", values[:1]).fetchall():
                    raise UnknownModel(self._model_id)
                connection.execute("INSERT INTO versions VALUES (?, ?, ?, ?)", values)
        except StorageFailure as error:
            # SQLite does not say whether the version exists: its number must not be used again, nor its pieces dropped.
            self._over = True
            raise CommitUncertain(error.reason) from error
        self._over = True

    def abort(self) -> None:
        if not self._over:
            self._over = True
            with suppress(RegistryError):  # the next start drops it
                self._database.drop(self._upload)


@implementer(IArchiveReader)
class SqliteReader:
    """
    A reader of one version, a piece at a time.
    """

    def __init__(self, database: Database, upload: str) -> None:
        self._database = database
        self._upload: str | None = upload
        self._position = 0
        self._rest = memoryview(b"")
        database.begin_reading(upload)

    def read(self, size_bytes: int) -> bytes:
        parts = []
        while size_bytes and (self._rest or self._fetch()):
            parts.append(self._rest[:size_bytes])
            self._rest = self._rest[size_bytes:]
            size_bytes -= len(parts[-1])
        return b"".join(parts)

    def _fetch(self) -> bool:
        query = "SELECT data FROM pieces WHERE upload = ? AND position = ?"
        rows = self._database.rows(query, self._upload, self._position)
        self._position += 1
        self._rest = memoryview(rows[0][0] if rows else b"")
        return bool(rows)

    def close(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            with suppress(RegistryError):  # the next start drops it
                self._database.end_reading(upload)


@implementer(IArchive, IIdentifiableArchive)
class SqliteArchive:
    """
    An archive in a database.  ``IArchive`` describes the methods.
    """

    def __init__(self, path: str) -> None:
        """

        Args:
            path: the database's file, created if missing when the archive is opened.
        """
        self._database = Database(path)
        self.description: str = self._database.path
        self._identity = ArchiveIdentity()
        self._must_exist = False

    def open(self) -> None:
        is_new = not os.path.exists(self.description)
        if is_new and self._must_exist:
            raise CannotStart(f"there is no database {self.description!r}, and --archive-must-exist is given")
        self._database.open()
        self._identity = ArchiveIdentity(self._database.archive_id(), is_new)

    def expect_existing(self) -> None:
        self._must_exist = True

    def identity(self) -> ArchiveIdentity:
        return self._identity

    def close(self) -> None:
        self._database.close()

    def model_ids(self) -> list[str]:
        return [model_id for (model_id,) in self._database.rows("SELECT model_id FROM models")]

    def load_model(self, model_id: str) -> ModelInfo:
        rows = self._database.rows("SELECT user_data FROM models WHERE model_id = ?", model_id)
        if not rows:
            raise UnknownModel(model_id)
        try:
            return ModelInfo(model_id, json.loads(rows[0][0]))
        except (TypeError, ValueError) as error:
            raise CorruptModel(model_id, str(error)) from error

    def save_model(self, info: ModelInfo) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO models (model_id, user_data) VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET user_data = excluded.user_data",
                (info.model_id, json.dumps(dict(info.metadata))),
            )

    def delete_model(self, model_id: str) -> None:
        with self._database.transaction() as connection:
            query = "SELECT upload FROM versions WHERE model_id = ?"
            uploads = connection.execute(query, (model_id,)).fetchall()
            if not connection.execute("DELETE FROM models WHERE model_id = ?", (model_id,)).rowcount:
                raise UnknownModel(model_id)
        for (upload,) in uploads:
            with suppress(RegistryError):  # the model is gone; the next start drops the rest
                self._database.drop(upload)

    def version_numbers(self, model_id: str) -> list[int]:
        with self._database.connected():
            self._check_known(model_id)
            query = "SELECT version_number FROM versions WHERE model_id = ? ORDER BY version_number"
            return [number for (number,) in self._database.rows(query, model_id)]

    def _check_known(self, model_id: str) -> None:
        if not self._database.rows("SELECT 1 FROM models WHERE model_id = ?", model_id):
            raise UnknownModel(model_id)

    def load_version(self, model_id: str, version_number: int) -> VersionInfo:
        upload, text = self._row(model_id, version_number)
        try:
            info = VersionInfo(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise CorruptVersion(model_id, version_number, str(error)) from error
        query = "SELECT coalesce(sum(length(data)), 0) FROM pieces WHERE upload = ?"
        ((size_bytes,),) = self._database.rows(query, upload)
        if size_bytes != info.size_bytes:
            raise CorruptVersion(model_id, version_number, f"{size_bytes} of {info.size_bytes} bytes exist")
        return info

    def _row(self, model_id: str, version_number: int) -> tuple[str, str]:
        query = "SELECT upload, info FROM versions WHERE model_id = ? AND version_number = ?"
        for upload, text in self._database.rows(query, model_id, version_number):
            return upload, text
        raise CorruptVersion(model_id, version_number, "it is not in the database")

    def open_version(self, model_id: str, version_number: int) -> SqliteReader:
        with self._database.connected():  # so that it cannot be deleted in between
            upload, _ = self._row(model_id, version_number)
            return SqliteReader(self._database, upload)

    def create_version(self, model_id: str) -> SqliteWriter:
        return SqliteWriter(self._database, model_id)

    def high_water_mark(self, model_id: str) -> int:
        rows = self._database.rows("SELECT reserved FROM models WHERE model_id = ?", model_id)
        return int(rows[0][0]) if rows else 0

    def set_high_water_mark(self, model_id: str, version_number: int) -> None:
        with self._database.transaction() as connection:
            update = "UPDATE models SET reserved = ? WHERE model_id = ?"
            if not connection.execute(update, (version_number, model_id)).rowcount:
                raise UnknownModel(model_id)
