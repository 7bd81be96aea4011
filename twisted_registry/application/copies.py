"""
Copies of versions into other models, whose data does not cross the wire.
"""

from collections.abc import AsyncIterator, Callable

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.application.reads import OpenedRead, ReadRequest, Reads
from twisted_registry.application.uploads import CHUNKS_IN_MEMORY, CHUNKS_PENDING, PendingWrites, check_size
from twisted_registry.application.versions import Versions
from twisted_registry.contracts.application import IBudget
from twisted_registry.contracts.transfers import IDownload, IUpload
from twisted_registry.domain.creation import CreationDetails
from twisted_registry.domain.errors import ModelReplaced, UnknownModel
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference


@frozen
class CopyRequest:
    """
    A request to copy a version.

    Attributes:
        reference: the version to copy.
        model_id: the model that gets the new version.
        archived: whether the new version is archived.
        aliases: the aliases that name the new version from then on.
        actor: who copies it; empty without access control.
        reason: why the aliases move; may be empty.
        key: the idempotency key; empty for none.
        count: counts the data that is copied, or raises ``QuotaExceeded``.
    """

    reference: Reference
    model_id: str
    archived: bool = True
    aliases: tuple[str, ...] = ()
    actor: str = ""
    reason: str = ""
    key: str = ""
    count: Callable[[int], None] = lambda size_bytes: None


@frozen
class Copies:
    """
    The use case of copying versions, with their metadata, labels and metrics.

    Attributes:
        _budget: bytes of uploads that may be in memory.
        _chunk_bytes: length of the data in all chunks but a version's last.
        _version_max_bytes: size of the largest version taken; 0 for no limit.
    """

    _queries: Queries
    _versions: Versions
    _reads: Reads
    _budget: IBudget
    _chunk_bytes: int
    _version_max_bytes: int

    async def copy(self, request: CopyRequest) -> VersionRecord:
        """
        Create a version from the data of another one, which is verified on the way.

        Raises:
            InvalidRequest: the aliases, the reason or the key are not allowed.
            UnknownModel: one of the models does not exist.
            UnknownAlias: the reference names no alias.
            UnknownVersion: the reference names no version.
            ModelReplaced: the model was deleted meanwhile.
            CorruptVersion: the version is damaged.
            TooLarge: the version can never be stored.
            Overloaded: uploads hold the budget.
            QuotaExceeded: a quota does not permit it now.
            UnsupportedByArchive: the archive cannot store labels, metrics or aliases.
            StorageFull: there is no space for the version.
            StorageReadOnly: the archive cannot be written.
            StorageFailure: the archive failed.
        """
        snapshot = await self._queries.snapshot(request.model_id)
        opened = await self._reads.open(ReadRequest(request.reference))
        try:
            record = opened.record
            details = CreationDetails(record.annotations, request.aliases, request.actor, request.reason)
            header = VersionHeader(
                request.model_id, request.archived, record.size_bytes, record.sha256, metadata=record.info.metadata
            )
            details.check(header)
            check_size(header.size_bytes, self._version_max_bytes)
            request.count(header.size_bytes)
            upload = self._queries.registry.upload(header, snapshot, request.key, details)
            info = await self._write(opened, upload)
        finally:
            opened.download.close()
        return await self._versions.created(info, details)

    async def _write(self, opened: OpenedRead, upload: IUpload) -> VersionInfo:
        try:
            passing_bytes = min(upload.header.size_bytes, CHUNKS_IN_MEMORY * self._chunk_bytes)
            reservation = await self._budget.reserve(upload.held_bytes + passing_bytes, upload.details.actor)
            try:
                await self._write_all(opened.download, upload)
            except BaseException:
                reservation.release()
                raise
        except BaseException as error:
            upload.abort()
            if isinstance(error, UnknownModel):
                raise ModelReplaced(upload.header.model_id) from None
            raise
        return await self._queries.runtime.start(upload.commit, reservation.release)

    async def _write_all(self, download: IDownload, upload: IUpload) -> None:
        runtime = self._queries.runtime
        writes = PendingWrites(upload, CHUNKS_PENDING * self._chunk_bytes, runtime)
        async for chunk in self._chunks(download):
            await writes.add(chunk)
        await writes.finish()
        await runtime.result(upload.finish())
        await runtime.pause()  # a client that has left is noticed here

    async def _chunks(self, download: IDownload) -> AsyncIterator[Chunk]:
        chunks = download.at_once()
        if chunks is not None:
            for chunk in chunks:
                yield chunk
            return
        while (read := await self._queries.runtime.result(download.read())) is not None:
            yield read
