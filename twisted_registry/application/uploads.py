"""
Uploads: a version's data is received within a budget, stored, and committed.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.contracts.application import IBudget, IReservation, IRuntime
from twisted_registry.contracts.transfers import IUpload
from twisted_registry.domain.creation import CreationDetails
from twisted_registry.domain.errors import ModelReplaced, SizeMismatch, TooLarge, UnknownModel
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot

CHUNKS_PENDING = 2
"""How much of one upload may wait to be hashed and stored while the next message is received, in chunks."""

CHUNKS_IN_MEMORY = CHUNKS_PENDING + 3
"""The most chunks of one upload in memory: the pending ones, one being filled, its target, and a message."""

_GATHERED_BYTES = 256 * 1024

ReadPiece = Callable[[], Awaitable[bytes | None]]
"""Returns the next message of a client; ``None`` at the end of its data, or if the client is gone."""


@frozen
class Uploads:
    """
    The use case of creating versions from the data that clients send.

    Attributes:
        _budget: bytes of uploads that may be in memory.  An upload that waits for them is not read from, so that its
            data stays with the client.
        _chunk_bytes: length of the data in all chunks but a version's last.
        _version_max_bytes: size of the largest version taken; 0 for no limit.
    """

    _queries: Queries
    _budget: IBudget
    _chunk_bytes: int
    _version_max_bytes: int

    async def create(
        self,
        header: VersionHeader,
        read: ReadPiece,
        chunk_of: Callable[[bytes], Chunk],
        seen: int = 0,
        idempotency_key: str = "",
        actor: str = "",
    ) -> VersionInfo:
        """
        Receive a version's data, and commit the version once the data is complete.

        Args:
            read: returns the next message of the client.
            chunk_of: returns the data in a message.
            seen: the highest version number of the model that the client has seen; 0 if it does not say.
            idempotency_key: stands for this creation; empty for none.  If a version was created with it before, that
                version is returned, without waiting for the data if the header declares the SHA-256.
            actor: who creates it; empty without access control.

        Raises:
            InvalidRequest: the key is not allowed, or was used for another version.
            UnknownModel: there is no such model.
            ModelReplaced: the model was deleted during the upload.
            CorruptVersion: the version that was created with the key is damaged.
            TooLarge: this registry does not take so large a version.
            Overloaded: other uploads hold the budget.
            SizeMismatch: the client sent more or less than it declared.
            HashMismatch: the data does not have the SHA-256 that the client declared.
            StorageFull: there is no space for the version.
            StorageReadOnly: the archive cannot be written.
            StorageFailure: the archive failed.
        """
        snapshot = await self._queries.snapshot(header.model_id)
        await self._queries.note_seen(snapshot, seen)
        known = await self._created(header, snapshot, idempotency_key) if idempotency_key else None
        if known is not None:
            return known
        check_size(header.size_bytes, self._version_max_bytes)
        upload = self._queries.registry.upload(header, snapshot, idempotency_key, CreationDetails(actor=actor))
        try:
            reservation = await self._reserve(upload)
            try:
                await self._receive(upload, read, chunk_of)
            except BaseException:
                reservation.release()
                raise
        except BaseException as error:
            upload.abort()
            if isinstance(error, UnknownModel):
                # The model was there when the upload began.  Its deletion is under way, and not visible to all yet.
                raise ModelReplaced(header.model_id) from None
            raise
        # A commit continues without its client, and keeps its reservation until it ends.
        return await self._queries.runtime.start(upload.commit, reservation.release)

    async def _created(self, header: VersionHeader, snapshot: ModelSnapshot, key: str) -> VersionInfo | None:
        registry = self._queries.registry
        known = registry.created(header, snapshot, key)
        if known is None and header.sha256 and registry.may_be_created(snapshot, key):
            return await self._queries.runtime.call(lambda: registry.find_created(header, snapshot, key))
        return known

    async def _reserve(self, upload: IUpload) -> IReservation:
        passing_bytes = min(upload.header.size_bytes, CHUNKS_IN_MEMORY * self._chunk_bytes)
        return await self._budget.reserve(upload.held_bytes + passing_bytes, upload.details.actor)

    async def _receive(self, upload: IUpload, read: ReadPiece, chunk_of: Callable[[bytes], Chunk]) -> None:
        declared_bytes, runtime = upload.header.size_bytes, self._queries.runtime
        received_bytes = 0
        gatherer = Gatherer(self._chunk_bytes)
        writes = PendingWrites(upload, CHUNKS_PENDING * self._chunk_bytes, runtime)
        while (message := await read()) is not None:
            piece = chunk_of(message)
            received_bytes += piece.size_bytes
            if received_bytes > declared_bytes:
                raise SizeMismatch(declared_bytes, received_bytes)
            for large_piece in gatherer.add(piece):
                await writes.add(large_piece)
        if received_bytes < declared_bytes:
            raise SizeMismatch(declared_bytes, received_bytes)
        for large_piece in gatherer.flush():
            await writes.add(large_piece)
        await writes.finish()
        await runtime.result(upload.finish())
        # When a client cancels or dies, its messages just end.  The call notices that here, before the commit.
        await runtime.pause()


def check_size(size_bytes: int, most_bytes: int) -> None:
    """
    Check that a version is not too large.

    Args:
        most_bytes: size of the largest version taken; 0 for no limit.

    Raises:
        TooLarge: it is larger.
    """
    if most_bytes and size_bytes > most_bytes:
        raise TooLarge(
            f"a version of {size_bytes} bytes is larger than the {most_bytes} bytes that this registry accepts; "
            "start it with a larger --version-max-bytes"
        )


class Gatherer:
    """
    A buffer for the small messages of an upload: to hash and store each separately would cost many times more than its
    data.  Large messages pass unchanged.
    """

    def __init__(self, chunk_bytes: int) -> None:
        """

        Args:
            chunk_bytes: a piece of this size passes at once.
        """
        self._enough_bytes = min(_GATHERED_BYTES, chunk_bytes)
        self._small_bytes = self._enough_bytes // 4
        self._gathered = bytearray()

    @property
    def size_bytes(self) -> int:
        """
        How many bytes are gathered.
        """
        return len(self._gathered)

    def add(self, piece: Chunk) -> Iterator[Chunk]:
        """
        Take a message's data, and yield what has become large enough.
        """
        if piece.size_bytes <= self._small_bytes:
            self._gathered += piece.data
            if len(self._gathered) >= self._enough_bytes:
                yield from self.flush()
            return
        yield from self.flush()
        yield piece

    def flush(self) -> Iterator[Chunk]:
        """
        Yield what is gathered.
        """
        if self._gathered:
            gathered, self._gathered = bytes(self._gathered), bytearray()
            yield Chunk(gathered)


class PendingWrites:
    """
    The pieces of one upload that wait to be hashed and stored.
    """

    def __init__(self, upload: IUpload, most_bytes: int, runtime: IRuntime) -> None:
        self._upload = upload
        self._most_bytes = most_bytes
        self._runtime = runtime
        self._pending: deque[tuple[Future[None], int]] = deque()
        self._pending_bytes = 0

    async def add(self, piece: Chunk) -> None:
        """
        Write a piece, and wait until not too much is pending.
        """
        self._pending.append((self._upload.write(piece), piece.size_bytes))
        self._pending_bytes += piece.size_bytes
        while self._pending_bytes > self._most_bytes or (self._pending and self._pending[0][0].done()):
            await self._wait_for_first()

    async def finish(self) -> None:
        """
        Wait until all pieces are written.
        """
        while self._pending:
            await self._wait_for_first()

    async def _wait_for_first(self) -> None:
        write, size_bytes = self._pending.popleft()
        self._pending_bytes -= size_bytes
        await self._runtime.result(write)
