"""
The uploads and downloads that the registry begins, each with the executors and the callbacks that it needs.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from twisted_registry.contracts.streams import IArchiveWriter, ISizedWriter
from twisted_registry.contracts.transfers import IDownload
from twisted_registry.contracts.transient import ITransientReader, ITransientWriter
from twisted_registry.contracts.unfinished import UnfinishedUpload
from twisted_registry.domain.aliases import check_alias_count
from twisted_registry.domain.annotations import NO_ANNOTATIONS
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails, UploadFacts
from twisted_registry.domain.errors import TooLarge, UnknownVersion
from twisted_registry.domain.models import VersionHeader, VersionInfo, VersionKey
from twisted_registry.domain.ranges import ByteRange
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.archive_usage import ArchiveReservation
from twisted_registry.registry.downloads import ArchiveDownload, Copy, DownloadCallbacks, VersionXxh3
from twisted_registry.registry.ranges import ArchiveRangeDownload, RangeReader
from twisted_registry.registry.state import State
from twisted_registry.registry.uploads import Upload


@frozen(eq=False)
class Transfers:
    """
    The beginnings of all transfers.  May be used in any thread.

    Attributes:
        _run: runs a coroutine in the reactor's thread, before the archive is closed.
        _commit: commits an upload; called in the reactor's thread.
    """

    _reactor: IReactorFromThreads
    _state: State
    _run: Callable[[Coroutine[Deferred[Any], Any, None]], object]
    _commit: Callable[[Upload], Deferred[VersionInfo]]

    # Uploads

    def upload(
        self,
        header: VersionHeader,
        snapshot: ModelSnapshot,
        key_sha256: str,
        details: CreationDetails,
        is_resumable: bool,
    ) -> Upload:
        """
        Begin an upload; see ``ISnapshots.upload``.

        Args:
            key_sha256: the SHA-256 of the idempotency key in hexadecimal; empty if there is none.
        """
        if not header.archived:
            upload = self._transient(header, snapshot, key_sha256)
        else:
            if details != NO_DETAILS and (details.aliases or details.annotations != NO_ANNOTATIONS):
                self._state.check_lifecycle()
            # Checked again in the commit.  Now it saves the caller from sending all data for nothing.
            check_alias_count(snapshot.model_id, snapshot.aliases, details.aliases)
            with self._reserved(header) as reservation:
                copy_writer = self._state.transients.copy_writer(header.model_id, header.size_bytes)
                held_bytes = 0 if copy_writer is None else header.size_bytes
                writer = self._archive_writer(header, key_sha256, is_resumable)
                upload = self._upload(header, held_bytes, snapshot, key_sha256, writer, copy_writer)
                upload.reservation = reservation
        upload.details = details
        return upload

    @contextmanager
    def _reserved(self, header: VersionHeader) -> Iterator[ArchiveReservation]:
        """
        Reserve bytes of the archive, which are released if the upload does not begin.

        Raises:
            QuotaExceeded: a quota has not so much left, or it is not known yet how much it has left.
        """
        reservation = self._state.usage.reserve(header.model_id, header.size_bytes)
        try:
            yield reservation
        except BaseException:
            reservation.release()
            raise

    def _archive_writer(self, header: VersionHeader, key_sha256: str, is_resumable: bool) -> IArchiveWriter:
        archive, model_id = self._state.archive, header.model_id
        if is_resumable and key_sha256:
            writer = archive.create_resumable(model_id, key_sha256, UploadFacts.of(header))
        else:
            writer = archive.create_version(model_id)
        ISizedWriter(writer).expect(header.size_bytes)
        return writer

    def resume(
        self,
        header: VersionHeader,
        snapshot: ModelSnapshot,
        key_sha256: str,
        details: CreationDetails,
        unfinished: UnfinishedUpload,
    ) -> Upload:
        """
        Go on with an upload; see ``ISnapshots.resume_upload``.
        """
        with self._reserved(header) as reservation:
            writer = self._state.archive.resume_version(unfinished)
            ISizedWriter(writer).expect(header.size_bytes)
            upload = self._upload(header, 0, snapshot, key_sha256, writer, None)
            upload.reservation = reservation
        upload.keep_after(partial(self._state.archive.open_unfinished, unfinished))
        upload.details = details
        return upload

    def _transient(self, header: VersionHeader, snapshot: ModelSnapshot, key: str) -> Upload:
        transients = self._state.transients
        if header.size_bytes > transients.store.max_bytes:
            raise TooLarge(
                f"a version of {header.size_bytes} bytes does not fit into the {transients.store.max_bytes} bytes of "
                "memory for versions; create it archived, or start the registry with a larger --version-cache-max-bytes"
            )
        transients.shares.check(header.model_id, header.size_bytes)
        held_bytes = header.size_bytes if transients.in_memory else 0
        return self._upload(header, held_bytes, snapshot, key, None, transients.store.create_version())

    def _upload(
        self,
        header: VersionHeader,
        held_bytes: int,
        snapshot: ModelSnapshot,
        key: str,
        archive_writer: IArchiveWriter | None,
        transient_writer: ITransientWriter | None,
    ) -> Upload:
        state = self._state
        return Upload(
            header,
            held_bytes,
            snapshot,
            key,
            archive_writer,
            transient_writer,
            state.framing.chunker(),
            state.transients.executor.serial(),
            state.executor.serial(),
            self._commit,
            partial(self._note_failure, header.model_id),
        )

    def _note_failure(self, model_id: str, error: Exception) -> None:
        self._reactor.callFromThread(self._state.publish_failure, "create version", model_id, error)

    # Downloads

    def download(self, snapshot: ModelSnapshot, info: VersionInfo) -> IDownload:
        """
        Begin a download; see ``ISnapshots.download``.
        """
        key = snapshot.key(info.version_number)
        xxh3 = self._state.xxh3.peek(key)
        if info.version_number in snapshot.held:
            try:
                # The copy of an archived version was made while that was read, so its XXH3 is known.
                return self._state.transients.download(key, xxh3.whole if xxh3 else info.xxh3)
            except UnknownVersion:
                if snapshot.numbers.is_transient(info.version_number) and not self._is_archived(key):
                    raise
        elif info.version_number not in snapshot.numbers:
            raise UnknownVersion(info.model_id, info.version_number)
        return self._archive_download(key, info, xxh3)

    def _is_archived(self, key: VersionKey) -> bool:
        # It may have been archived, and have left memory, since the caller took the snapshot.
        model = self._state.current(key.model_id, key.incarnation)
        snapshot = None if model is None else model.snapshot
        if snapshot is None or key.version_number not in snapshot.numbers:
            return False
        return not snapshot.numbers.is_transient(key.version_number)

    def _archive_download(self, key: VersionKey, info: VersionInfo, xxh3: VersionXxh3 | None) -> ArchiveDownload:
        state = self._state
        return ArchiveDownload(
            info,
            state.archive,
            state.executor.serial(),
            state.framing,
            self._callbacks(key),
            xxh3,
            self._copy(key, info),
        )

    def download_range(self, snapshot: ModelSnapshot, info: VersionInfo, part: ByteRange) -> IDownload:
        """
        Begin a download of a part of a version; see ``ISnapshots.download_range``.
        """
        key, state = snapshot.key(info.version_number), self._state
        if info.version_number in snapshot.held:
            try:
                return state.transients.download(key, "", partial(self._range_reader, part))
            except UnknownVersion:
                if snapshot.numbers.is_transient(info.version_number) and not self._is_archived(key):
                    raise
        elif info.version_number not in snapshot.numbers:
            raise UnknownVersion(info.model_id, info.version_number)
        serial, xxh3 = state.executor.serial(), state.xxh3.peek(key)
        return ArchiveRangeDownload(info, state.archive, serial, state.framing, self._callbacks(key), xxh3, range=part)

    def _range_reader(self, part: ByteRange, reader: ITransientReader) -> RangeReader:
        return RangeReader(reader, part, self._state.framing.frame)

    def _callbacks(self, key: VersionKey) -> DownloadCallbacks:
        state, call = self._state, self._reactor.callFromThread
        return DownloadCallbacks(
            is_gone=lambda: state.current(key.model_id, key.incarnation) is None,
            is_deleted=lambda: state.may_be_gone(key),
            damaged=lambda error: call(state.note_damage, key, error),
            verified=lambda xxh3: call(state.note_xxh3, key, xxh3),
        )

    def _copy(self, key: VersionKey, info: VersionInfo) -> Copy | None:
        transients = self._state.transients
        writer = transients.copy_writer(key.model_id, info.size_bytes)
        if writer is None or not transients.begin_copy(key):
            return None
        return Copy(
            writer,
            keep=lambda: self._reactor.callFromThread(lambda: self._run(self._keep_copy(key, info, writer))),
            abandon=lambda: transients.end_copy(key),
        )

    async def _keep_copy(self, key: VersionKey, info: VersionInfo, writer: ITransientWriter) -> None:
        try:
            await self._state.keep_copy(key, info, writer)
        finally:
            self._state.transients.end_copy(key)
