"""
A version on its way in.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future

from attrs import define, field
from twisted.internet.defer import Deferred
from xxhash import xxh3_128
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchiveWriter
from twisted_registry.contracts.execution import ISerialExecutor
from twisted_registry.contracts.transfers import IChunker, IUpload
from twisted_registry.contracts.transient import ITransientWriter
from twisted_registry.domain.errors import HashMismatch
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.futures import all_done


@implementer(IUpload)
@define(eq=False)
class Upload:
    """
    Hashes a version's data as it comes, and hands it to where it is kept: the archive, memory, or both.  The archive
    writes while the data is hashed.

    Attributes:
        snapshot: the model as it was when the creation began.
        archive_writer: ``None`` for a transient version.
        transient_writer: of the transient version, or of the copy of an archived one; ``None`` for no copy.
        _chunker: makes the chunks that memory keeps.
        _serial: where data is hashed, and put into memory.
        _archive_serial: where the archive's calls run.
    """

    header: VersionHeader
    held_bytes: int
    snapshot: ModelSnapshot
    archive_writer: IArchiveWriter | None
    transient_writer: ITransientWriter | None
    _chunker: IChunker
    _serial: ISerialExecutor
    _archive_serial: ISerialExecutor
    _commit: Callable[["Upload"], Deferred[VersionInfo]]
    _hash: "hashlib._Hash" = field(factory=hashlib.sha256)
    _digest: xxh3_128 = field(factory=xxh3_128)
    _data_hash: str = ""

    def write(self, piece: Chunk) -> Future[None]:
        """See ``IUpload.write``."""
        hashed = self._serial.submit(lambda: self._take(piece.data), piece.size_bytes)
        writer = self.archive_writer
        if writer is None:
            return hashed
        return all_done(hashed, self._archive_serial.submit(lambda: writer.write(piece), piece.size_bytes))

    def _take(self, data: memoryview) -> None:
        self._hash.update(data)
        self._digest.update(data)
        if self.transient_writer is not None:
            for chunk in self._chunker.add(data):
                self.transient_writer.write(chunk)

    def finish(self) -> Future[None]:
        """See ``IUpload.finish``."""
        hashed = self._serial.submit(self._finish, 0)
        if self.archive_writer is None:
            return hashed
        return all_done(hashed, self._archive_serial.submit(self.archive_writer.finish, 0))

    def _finish(self) -> None:
        self._data_hash = b64encode(self._hash.digest()).decode()
        if self.header.sha256 not in ("", self._data_hash):
            raise HashMismatch(self.header.sha256, self._data_hash)
        if self.transient_writer is not None:
            for chunk in self._chunker.flush():
                self.transient_writer.write(chunk)

    def commit(self) -> Deferred[VersionInfo]:
        """See ``IUpload.commit``."""
        return self._commit(self)

    def abort(self) -> None:
        """See ``IUpload.abort``."""
        if self.archive_writer is not None:
            self._archive_serial.submit(self.archive_writer.abort, 0)
        if self.transient_writer is not None:
            self._serial.submit(self.transient_writer.abort, 0)

    def info(self, version_number: int, now_ns: int) -> VersionInfo:
        """
        Give the whole truth about the version, now that all its data has come.
        """
        return VersionInfo(
            model_id=self.header.model_id,
            version_number=version_number,
            created_ns=self.header.created_ns or now_ns,
            archived=self.header.archived,
            sha256=self._data_hash,
            size_bytes=self.header.size_bytes,
            metadata=self.header.metadata,
            xxh3=self._digest.hexdigest(),
        )
