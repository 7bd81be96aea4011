"""
Creations of versions that can go on after an interruption.

An upload with an idempotency key that ends early is kept.  Its creator asks how much of it was received, and sends the
rest.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from attrs import evolve, frozen

from twisted_registry.application.kept_uploads import Claim, KeptUploads, UnfinishedTransfer, UploadKey
from twisted_registry.application.queries import Queries
from twisted_registry.application.uploads import (
    CHUNKS_IN_MEMORY,
    CHUNKS_PENDING,
    Gatherer,
    PendingWrites,
    check_size,
)
from twisted_registry.application.versions import Versions
from twisted_registry.contracts.application import IBudget, IReservation
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails, UploadFacts
from twisted_registry.domain.errors import (
    InvalidRequest,
    ModelReplaced,
    Overloaded,
    SizeMismatch,
    Stalled,
    Unavailable,
    UnknownModel,
    UploadTakenOver,
    WrongOffset,
)
from twisted_registry.domain.idempotency import check_idempotency_key
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot

RESUMABLE_BYTES = 1024 * 1024
"""Smaller uploads are not kept: to send them again costs less than to keep them."""

_MOST_PENDING_BYTES = 4 * 1024 * 1024
"""
How much of an upload may wait to be hashed and stored while the next message is received.  A kill of the registry loses
that, a message on each side of it and what gRPC has received ahead: 8 MiB with messages of 1 MiB.
"""

_INTERRUPTIONS = (Stalled, UploadTakenOver, Unavailable, Overloaded)
"""The errors after which an upload can go on."""


class IMessages(Protocol):
    """
    The messages of a client.
    """

    def read(self) -> Awaitable[bytes | None]:
        """
        Return the next message; ``None`` at the end of the data, or if the client is gone.
        """

    def interrupt(self, error: Exception) -> None:
        """
        End the read that is under way, or else the next one, with an error.
        """


@frozen
class CreationRequest:
    """
    A request to create a version.

    Attributes:
        details: what is set in the same commit.
        key: the idempotency key; empty for none.
        offset: where the data begins that is sent.
        owner: the address of the client; empty if it is not known.
        seen: the highest version number of the model that the client has seen; 0 if it does not say.
        is_permitted: returns whether the client may still create it.
    """

    header: VersionHeader
    details: CreationDetails = NO_DETAILS
    key: str = ""
    offset: int = 0
    owner: str = ""
    seen: int = 0
    is_permitted: Callable[[], bool] = lambda: True

    def check(self) -> None:
        """
        Check what can be checked without the model.

        Raises:
            InvalidRequest: it is not allowed.
        """
        self.details.check(self.header)
        if self.key:
            check_idempotency_key(self.key)
        elif self.offset:
            raise InvalidRequest("only an upload with an idempotency key can go on at an offset; send its key")
        if self.offset > self.header.size_bytes:
            raise InvalidRequest(
                f"the offset {self.offset} is behind the end of the data, which has {self.header.size_bytes} bytes; "
                "send the offset that GetUpload returns"
            )


@frozen
class UploadStatus:
    """
    How far an upload is.

    Attributes:
        received_bytes: how many bytes were received and are kept.
        expires_seconds: when they are dropped if nothing more arrives, in seconds since the Unix epoch.
        version: the version, if it was created already.
    """

    received_bytes: int = 0
    expires_seconds: float = 0.0
    version: VersionRecord | None = None


@frozen
class Creations:
    """
    The use case of creating versions, which go on after an interruption.

    Attributes:
        _budget: bytes of uploads that may be in memory.
        _chunk_bytes: length of the data in all chunks but a version's last.
        _version_max_bytes: size of the largest version taken; 0 for no limit.
        _resumable_bytes: smaller uploads are not kept.
    """

    _queries: Queries
    _versions: Versions
    _budget: IBudget
    _kept: KeptUploads
    _chunk_bytes: int
    _version_max_bytes: int
    _resumable_bytes: int = RESUMABLE_BYTES

    async def create(
        self, request: CreationRequest, messages: IMessages, chunk_of: Callable[[bytes], Chunk]
    ) -> VersionRecord:
        """
        Receive a version's data from the request's offset on, and commit the version once the data is complete.

        If the call ends before that, what was received is kept, unless the upload has no key, is small, can never
        succeed, or is no longer permitted.  A call with the key of one that is still running interrupts that one.

        Args:
            chunk_of: returns the data in a message.

        Raises:
            InvalidRequest: the request is not allowed, or its key was used for another version.
            WrongOffset: the data before the offset is not kept.
            UploadTakenOver: a later call has the same key.
            UnknownModel: there is no such model.
            ModelReplaced: the model was deleted during the upload.
            TooLarge: this registry does not take so large a version.
            Overloaded: other uploads hold the budget.
            SizeMismatch: the client sent more or less than it declared.
            HashMismatch: the data does not have the SHA-256 that the client declared.
            UnsupportedByArchive: the archive cannot store labels, metrics or aliases.
            StorageFull: there is no space for the version.
            StorageReadOnly: the archive cannot be written.
            StorageFailure: the archive failed.
        """
        request.check()
        header = request.header
        snapshot = await self._queries.snapshot(header.model_id)
        await self._queries.note_seen(snapshot, request.seen)
        if not request.key:
            check_size(header.size_bytes, self._version_max_bytes)
            transfer = UnfinishedTransfer(self._queries.registry.upload(header, snapshot, "", request.details))
            return await self._complete(request, transfer, messages, chunk_of)
        key = header.model_id, request.key
        claim = await self._kept.claim(key, lambda: messages.interrupt(UploadTakenOver(header.model_id)))
        try:
            return await self._create_with_key(request, snapshot, claim, messages, chunk_of)
        finally:
            self._kept.release(key, claim)

    async def _create_with_key(
        self,
        request: CreationRequest,
        snapshot: ModelSnapshot,
        claim: Claim,
        messages: IMessages,
        chunk_of: Callable[[bytes], Chunk],
    ) -> VersionRecord:
        known = await self._created(request, snapshot)
        if known is not None:
            self._kept.drop((request.header.model_id, request.key))
            return await self._versions.created(known, request.details)
        check_size(request.header.size_bytes, self._version_max_bytes)
        transfer = claim.transfer = await self._begin(request, snapshot)
        try:
            return await self._complete(request, transfer, messages, chunk_of)
        except BaseException as error:
            if self._is_resumable(request.header) and _can_go_on(error, transfer) and request.is_permitted():
                self._kept.keep((request.header.model_id, request.key), transfer)
            elif not transfer.is_committing:  # a commit goes on without its client
                transfer.upload.abort()
            raise

    async def _created(self, request: CreationRequest, snapshot: ModelSnapshot) -> VersionInfo | None:
        registry, header, key = self._queries.registry, request.header, request.key
        known = registry.created(header, snapshot, key)
        if known is None and header.sha256 and registry.may_be_created(snapshot, key):
            return await self._queries.runtime.call(lambda: registry.find_created(header, snapshot, key))
        return known

    def _is_resumable(self, header: VersionHeader) -> bool:
        return header.size_bytes >= self._resumable_bytes

    async def _begin(self, request: CreationRequest, snapshot: ModelSnapshot) -> UnfinishedTransfer:
        header, key = request.header, (request.header.model_id, request.key)
        if not request.offset:
            self._kept.drop(key)
            is_resumable = self._is_resumable(header)
            upload = self._queries.registry.upload(header, snapshot, request.key, request.details, is_resumable)
            return UnfinishedTransfer(upload, request.owner)
        kept = self._kept.find(key, snapshot.incarnation)
        if kept is None:
            return await self._restore(request, snapshot)
        _check_offset(request, UploadFacts.of(kept.upload.header), kept.received_bytes)
        self._kept.take(key)
        kept.owner = request.owner
        kept.upload.details = request.details
        return kept

    async def _restore(self, request: CreationRequest, snapshot: ModelSnapshot) -> UnfinishedTransfer:
        registry, header = self._queries.registry, request.header
        left = await self._queries.runtime.call(lambda: registry.find_unfinished(snapshot, request.key))
        if left is None:
            raise WrongOffset(request.offset, 0)
        _check_offset(request, left.facts, left.received_bytes)
        upload = registry.resume_upload(header, snapshot, request.key, request.details, left)
        # The archive may have discarded it since it was found.
        return UnfinishedTransfer(upload, request.owner, left.received_bytes, is_restored=False, is_suspended=True)

    async def _complete(
        self,
        request: CreationRequest,
        transfer: UnfinishedTransfer,
        messages: IMessages,
        chunk_of: Callable[[bytes], Chunk],
    ) -> VersionRecord:
        upload = transfer.upload
        try:
            reservation = await self._reserve(transfer, request.details.actor)
            try:
                await self._resume(request, transfer)
                await self._receive(request, transfer, messages, chunk_of)
            except BaseException:
                reservation.release()
                raise
        except BaseException as error:
            if not request.key:
                upload.abort()
            if isinstance(error, UnknownModel):
                # The model was there when the upload began.  Its deletion is under way, and not visible to all yet.
                raise ModelReplaced(request.header.model_id) from None
            raise
        # A commit continues without its client, and keeps its reservation until it ends.
        transfer.is_committing = True
        info = await self._queries.runtime.start(upload.commit, reservation.release)
        return await self._versions.created(info, request.details)

    async def _resume(self, request: CreationRequest, transfer: UnfinishedTransfer) -> None:
        upload, runtime = transfer.upload, self._queries.runtime
        if transfer.is_suspended:
            if not await runtime.result(upload.resume()):
                raise WrongOffset(request.offset, 0)
            transfer.is_suspended = False
        while not transfer.is_restored:
            transfer.is_restored = not await runtime.result(upload.restore())

    async def _reserve(self, transfer: UnfinishedTransfer, caller: str) -> IReservation:
        passing_bytes = min(transfer.upload.header.size_bytes, CHUNKS_IN_MEMORY * self._chunk_bytes)
        return await self._budget.reserve(transfer.upload.held_bytes + passing_bytes, caller)

    async def _receive(
        self,
        request: CreationRequest,
        transfer: UnfinishedTransfer,
        messages: IMessages,
        chunk_of: Callable[[bytes], Chunk],
    ) -> None:
        upload, runtime, declared_bytes = transfer.upload, self._queries.runtime, request.header.size_bytes
        gatherer = Gatherer(self._chunk_bytes)
        writes = PendingWrites(upload, min(CHUNKS_PENDING * self._chunk_bytes, _MOST_PENDING_BYTES), runtime)
        position, last = request.offset, None
        try:
            while (message := await messages.read()) is not None:
                piece = chunk_of(message)
                known_bytes = min(transfer.received_bytes + gatherer.size_bytes - position, piece.size_bytes)
                position += piece.size_bytes
                if position > declared_bytes:
                    raise SizeMismatch(declared_bytes, position)
                if known_bytes > 0:  # the offset is lower than what had arrived
                    piece = evolve(piece, data_offset=piece.data_offset + known_bytes)
                for large_piece in gatherer.add(piece):
                    transfer.received_bytes += large_piece.size_bytes
                    await writes.add(large_piece)
            if position < declared_bytes:
                raise SizeMismatch(declared_bytes, position)
        finally:
            for rest in gatherer.flush():
                transfer.received_bytes += rest.size_bytes
                last = upload.write(rest)
        if last is not None:
            await runtime.result(last)
        await writes.finish()
        await runtime.result(upload.finish())
        # When a client cancels or dies, its messages just end.  The call notices that here, before the commit.
        await runtime.pause()

    async def status(self, model_id: str, idempotency_key: str) -> UploadStatus:
        """
        Return how far the upload with a key is.

        Raises:
            InvalidRequest: the key is not allowed, or was used for another model.
            UnknownModel: there is no such model.
            CorruptVersion: the version that was created with it is damaged.
            StorageFailure: the archive cannot be read.
        """
        check_idempotency_key(idempotency_key)
        registry, runtime = self._queries.registry, self._queries.runtime
        snapshot = await self._queries.snapshot(model_id)
        key: UploadKey = (model_id, idempotency_key)
        transfer = self._kept.find(key, snapshot.incarnation)
        if transfer is None:
            info = await runtime.call(lambda: registry.find_version_with_key(snapshot, idempotency_key))
            if info is not None:
                return UploadStatus(version=await self._versions.created(info, NO_DETAILS))
            left = await runtime.call(lambda: registry.find_unfinished(snapshot, idempotency_key))
            if left is not None:
                return UploadStatus(left.received_bytes, self._kept.expiry_seconds(left.changed_seconds))
            transfer = self._kept.find(key, snapshot.incarnation)
        if transfer is None:
            return UploadStatus()
        return UploadStatus(transfer.received_bytes, self._kept.expires_seconds(key))


def _check_offset(request: CreationRequest, facts: UploadFacts, received_bytes: int) -> None:
    facts.check(request.header)
    if request.offset > received_bytes:
        raise WrongOffset(request.offset, received_bytes)


def _can_go_on(error: BaseException, transfer: UnfinishedTransfer) -> bool:
    if transfer.is_committing:
        return False
    if isinstance(error, SizeMismatch):
        return error.received_bytes < error.declared_bytes  # if a client dies, its messages just end
    return isinstance(error, _INTERRUPTIONS) or not isinstance(error, Exception)
