"""
The call that creates versions.
"""

import asyncio
from collections import deque
from concurrent.futures import Future

from attrs import field, frozen

from twisted_registry.contracts.transfers import IUpload
from twisted_registry.domain.errors import InvalidRequest, ModelReplaced, SizeMismatch, UnknownModel
from twisted_registry.domain.models import Chunk, VersionHeader, VersionInfo
from twisted_registry.protocol.checksum import to_metadata
from twisted_registry.protocol.messages import api
from twisted_registry.rpc.admission import Admission
from twisted_registry.rpc.archive import note_seen
from twisted_registry.rpc.bridge import settled
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.frames import Gatherer, body_chunk
from twisted_registry.rpc.interceptors.idle_timeout import RequestStream
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.outgoing import Outgoing
from twisted_registry.rpc.wire import version_header, version_message

_CHUNKS_UNDER_WAY = 2
"""How much of one upload may wait to be hashed and stored while the next message is received, in chunks."""

_CHUNKS_IN_MEMORY = _CHUNKS_UNDER_WAY + 3
"""At once, at most: those, the one that waits to be full, the one it is put into, and a message."""


@frozen
class CreateCalls:
    """
    ``CreateVersion``.
    """

    _lookup: Lookup
    _admission: Admission
    _outgoing: Outgoing
    _chunk_bytes: int
    # An event loop keeps no hold on its tasks, and these must outlive the calls that began them.
    _commits: "set[asyncio.Task[VersionInfo]]" = field(factory=set)

    async def create_version(self, messages: RequestStream, call: CallContext) -> bytes:
        """
        Receive a version's data, and commit it once it is whole.
        """
        header = await self._header(messages)
        snapshot = await self._lookup.snapshot(header.model_id)
        await note_seen(self._lookup, snapshot, call)
        self._admission.check(header.size_bytes)
        upload = self._lookup.registry.upload(header, snapshot)
        passing_bytes = min(header.size_bytes, _CHUNKS_IN_MEMORY * self._chunk_bytes)
        try:
            async with self._admission.admitted(upload.held_bytes + passing_bytes) as place:
                await self._receive(messages, upload)
                await settled(upload.finish())
                # When a client cancels or dies, the stream of messages just ends.  The cancellation comes at the next
                # await: this one, before anything is committed.
                await asyncio.sleep(0)
                commit = self._commit(upload)
                place.keep_until(commit)
        except BaseException as error:
            upload.abort()
            if isinstance(error, UnknownModel):
                # It was there when the creation began, and its deletion, which others may not see yet, is under way.
                raise ModelReplaced(header.model_id) from None
            raise
        info = await asyncio.shield(commit)
        call.set_trailing_metadata(to_metadata(info.size_bytes, info.sha256, info.xxh3))
        reply = api.CreateVersionReply(version_info=version_message(info)).SerializeToString()
        return await self._outgoing.count(call, reply)

    async def _header(self, messages: RequestStream) -> VersionHeader:
        raw = await messages.read()
        if raw is None:
            raise InvalidRequest("the stream is empty; it must begin with a header")
        return version_header(raw)

    async def _receive(self, messages: RequestStream, upload: IUpload) -> None:
        declared_bytes = upload.header.size_bytes
        received_bytes = 0
        gatherer = Gatherer(self._chunk_bytes)
        writes = Writes(upload, _CHUNKS_UNDER_WAY * self._chunk_bytes)
        while (raw := await messages.read()) is not None:
            message = body_chunk(raw)
            received_bytes += message.size_bytes
            if received_bytes > declared_bytes:
                raise SizeMismatch(declared_bytes, received_bytes)
            for piece in gatherer.add(message):
                await writes.add(piece)
        if received_bytes < declared_bytes:
            raise SizeMismatch(declared_bytes, received_bytes)
        for piece in gatherer.flush():
            await writes.add(piece)
        await writes.done()

    def _commit(self, upload: IUpload) -> "asyncio.Task[VersionInfo]":
        task = asyncio.create_task(self._lookup.bridge.call(upload.commit))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return task


class Writes:
    """
    The pieces of one upload that wait to be hashed and stored.
    """

    def __init__(self, upload: IUpload, most_bytes: int) -> None:
        self._upload = upload
        self._most_bytes = most_bytes
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._waiting_bytes = 0

    async def add(self, piece: Chunk) -> None:
        """
        Have a piece written, and wait until not too much waits.
        """
        self._waiting.append((self._upload.write(piece), piece.size_bytes))
        self._waiting_bytes += piece.size_bytes
        while self._waiting_bytes > self._most_bytes or (self._waiting and self._waiting[0][0].done()):
            await self._first()

    async def done(self) -> None:
        """
        Wait until all is written.
        """
        while self._waiting:
            await self._first()

    async def _first(self) -> None:
        write, size_bytes = self._waiting.popleft()
        self._waiting_bytes -= size_bytes
        await settled(write)
