"""
Uploads of versions, to the archive, to memory or to both.
"""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from twisted_registry.contracts.execution import ISerialExecutor
from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter
from twisted_registry.contracts.tracing import CURRENT_SPAN, ISpan, as_part_of
from twisted_registry.contracts.transfers import IChunker, IUpload
from twisted_registry.contracts.transient import ITransientWriter
from twisted_registry.contracts.unfinished import IResumableWriter
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails
from twisted_registry.domain.errors import HashMismatch
from twisted_registry.domain.integrity import Sha256, Xxh3
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo, creator
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.archive_usage import ArchiveReservation

_RESTORED_BYTES = 8 * 1024 * 1024


@implementer(IUpload)
@define(eq=False)
class Upload:
    """
    An upload, which hashes a version's data as it arrives and passes it to the archive, to memory or to both.  The
    archive writes while the data is hashed.

    Attributes:
        snapshot: the model when the creation began.
        key_sha256: the SHA-256 of the idempotency key in hexadecimal; empty if there is none.
        archive_writer: ``None`` for a transient version.
        transient_writer: writes the transient version, or the copy of an archived one; ``None`` for no copy.
        reservation: the bytes that it will have in the archive; ``None`` for a transient version.
        _chunker: makes the chunks that are kept in memory.
        _serial: hashes data, and passes it to memory.
        _archive_serial: runs the archive's calls.
        details: see ``IUpload.details``.
        is_dropped: see ``IUpload.is_dropped``.
        _failed: called in any thread with the first error of the archive.
        span: the span of the call that has completed the data; ``None`` if nothing is traced.
        _open_kept: opens the data that an earlier process has written; ``None`` if there is none, or it is restored.
    """

    header: VersionHeader
    held_bytes: int
    snapshot: ModelSnapshot
    key_sha256: str
    archive_writer: IArchiveWriter | None
    transient_writer: ITransientWriter | None
    _chunker: IChunker
    _serial: ISerialExecutor
    _archive_serial: ISerialExecutor
    _commit: Callable[["Upload"], Deferred[VersionInfo]]
    _failed: Callable[[Exception], None] = lambda error: None
    reservation: ArchiveReservation | None = None
    details: CreationDetails = NO_DETAILS
    is_dropped: bool = False
    span: ISpan | None = None
    _has_failed: bool = False
    _open_kept: Callable[[], IArchiveReader] | None = None
    _kept_reader: IArchiveReader | None = None
    _finished: Future[None] | None = None
    _sha256_state: Sha256 = field(factory=Sha256)
    _xxh3_state: Xxh3 = field(factory=Xxh3)
    sha256: str = ""
    """The SHA-256 of the data in standard base64, once all of it has arrived."""

    def write(self, piece: Chunk) -> Future[None]:
        """See ``IUpload.write``."""
        hashed = self._serial.submit(lambda: self._take(piece.data), piece.size_bytes)
        writer = self.archive_writer
        if writer is None:
            return hashed
        return all_done(hashed, self._archive_serial.submit(lambda: self._store(writer, piece), piece.size_bytes))

    def _store(self, writer: IArchiveWriter, piece: Chunk) -> None:
        try:
            writer.write(piece)
        except Exception as error:
            self._note_failure(error)
            raise

    def _note_failure(self, error: Exception) -> None:
        # What follows the first error fails because the writer has aborted.
        if not self._has_failed:
            self._has_failed = True
            self._failed(error)

    def _take(self, data: memoryview) -> None:
        self._sha256_state.update(data)
        self._xxh3_state.update(data)
        if self.transient_writer is not None:
            for chunk in self._chunker.add(data):
                self.transient_writer.write(chunk)

    def finish(self) -> Future[None]:
        """See ``IUpload.finish``."""
        if self._finished is None:
            self.span = span = CURRENT_SPAN.get()
            hashed = self._serial.submit(self._finish, 0)
            writer = self.archive_writer
            if writer is None:
                self._finished = hashed
            else:
                finish = as_part_of(span, "archive write", partial(self._finish_archive, writer))
                stored = self._archive_serial.submit(finish, 0)
                self._finished = all_done(hashed, stored)
        return self._finished

    def _finish_archive(self, writer: IArchiveWriter) -> None:
        try:
            writer.finish()
        except Exception as error:
            self._note_failure(error)
            raise

    def _finish(self) -> None:
        self.sha256 = self._sha256_state.text()
        if self.header.sha256 not in ("", self.sha256):
            raise HashMismatch(self.header.sha256, self.sha256)
        if self.transient_writer is not None:
            for chunk in self._chunker.flush():
                self.transient_writer.write(chunk)

    def keep_after(self, open_kept: Callable[[], IArchiveReader]) -> None:
        """
        Go on after the data that an earlier process has written, which ``restore`` hashes.
        """
        self._open_kept = open_kept

    def restore(self) -> Future[int]:
        """See ``IUpload.restore``."""
        return self._archive_serial.submit(self._restore, _RESTORED_BYTES)

    def _restore(self) -> int:
        if self._open_kept is None:
            return 0
        if self._kept_reader is None:
            self._kept_reader = self._open_kept()
        data = self._kept_reader.read(_RESTORED_BYTES)
        self._take(memoryview(data))
        if not data:
            self._close_kept()
        return len(data)

    def _close_kept(self) -> None:
        reader, self._kept_reader, self._open_kept = self._kept_reader, None, None
        if reader is not None:
            reader.close()

    @property
    def is_droppable(self) -> bool:
        """See ``IUpload.is_droppable``."""
        return bool(IResumableWriter.providedBy(self.archive_writer))

    def suspend(self) -> None:
        """See ``IUpload.suspend``."""
        writer = self.archive_writer
        if writer is not None:
            self.held_bytes = 0
            self._serial.submit(self._drop_copy, 0)
            if IResumableWriter.providedBy(writer):
                self._archive_serial.submit(lambda: IResumableWriter(writer).suspend(self._drop), 0)

    def _drop(self) -> None:
        # Called in the thread that needs the space.
        self.is_dropped = True

    def resume(self) -> Future[bool]:
        """See ``IUpload.resume``."""
        return self._archive_serial.submit(self._resume, 0)

    def _resume(self) -> bool:
        is_there: bool = (
            not IResumableWriter.providedBy(self.archive_writer) or IResumableWriter(self.archive_writer).resume()
        )
        return is_there

    def _drop_copy(self) -> None:
        writer, self.transient_writer = self.transient_writer, None
        if writer is not None:
            writer.abort()

    def commit(self) -> Deferred[VersionInfo]:
        """See ``IUpload.commit``."""
        return self._commit(self)

    def abort(self) -> None:
        """See ``IUpload.abort``."""
        if self.reservation is not None:
            self.reservation.release()
        if self.archive_writer is not None:
            self._archive_serial.submit(self._close_kept, 0)
            self._archive_serial.submit(self.archive_writer.abort, 0)
        if self.transient_writer is not None:
            self._serial.submit(self.transient_writer.abort, 0)

    def note_created(self, info: VersionInfo) -> None:
        """
        Record in its trace, if there is one, that the version exists.
        """
        if self.span is not None:
            self.span.created(info)

    def info(self, version_number: int, now_ns: int) -> VersionInfo:
        """
        Return the version's info, after all its data has arrived.
        """
        return VersionInfo(
            model_id=self.header.model_id,
            version_number=version_number,
            created_ns=self.header.created_ns or now_ns,
            archived=self.header.archived,
            sha256=self.sha256,
            size_bytes=self.header.size_bytes,
            metadata=self.header.metadata,
            xxh3=self._xxh3_state.hexdigest(),
            created_by=creator(self.details.actor),
        )


def all_done(*jobs: "Future[Any]") -> "Future[None]":
    """
    Wait for jobs of several serial executors.

    Returns:
        fires when all jobs are done; fails as the first job, in the order given, that failed.
    """
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()
    lock = Lock()
    # Cleared when the jobs are done: a future keeps its callbacks, and these would keep the futures.
    pending = list(jobs)
    left = len(pending)

    def one_done(_: "Future[Any]") -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = left == 0
        if is_last:
            _settle(done, pending)
            pending.clear()

    for job in jobs:
        job.add_done_callback(one_done)
    return done


def _settle(done: "Future[None]", jobs: "list[Future[Any]]") -> None:
    for job in jobs:
        error = job.exception()
        if error is not None:
            done.set_exception(error)
            return
    done.set_result(None)
