"""
The call that creates versions.
"""

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any

from attrs import field, frozen

from twisted_registry.errors import InvalidRequest, SizeMismatch
from twisted_registry.interfaces import IUpload
from twisted_registry.rpc.admission import Admission
from twisted_registry.rpc.bridge import settled
from twisted_registry.rpc.frames import Cutter, body_data
from twisted_registry.rpc.incoming import Incoming
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.messages import api
from twisted_registry.rpc.wire import version_header, version_message
from twisted_registry.values import VersionHeader, VersionInfo

_WRITES_UNDER_WAY = 2
"""Chunks of one upload that may wait to be hashed and stored while the next is received."""

_CHUNKS_UNDER_WAY = _WRITES_UNDER_WAY + 3
"""In memory at once, at most: those, the one that waits to be next, the one being gathered, and a message."""


@frozen
class CreateCalls:
    """
    C{CreateVersion}.
    """

    _lookup: Lookup
    _admission: Admission
    _chunk_bytes: int
    # An event loop keeps no hold on its tasks, and these must outlive the calls that began them.
    _commits: "set[asyncio.Task[VersionInfo]]" = field(factory=set)

    async def create_version(self, messages: Incoming, context: Any) -> bytes:
        """
        Receive a version's data, and commit it once it is whole.
        """
        header = await self._header(messages)
        snapshot = await self._lookup.snapshot(header.model_id)
        self._admission.check(header.size_bytes)
        upload = self._lookup.registry.upload(header, snapshot)
        passing_bytes = min(header.size_bytes, _CHUNKS_UNDER_WAY * self._chunk_bytes)
        try:
            async with self._admission.admitted(upload.held_bytes + passing_bytes) as place:
                await self._receive(messages, upload)
                await settled(upload.finish())
                # When a client cancels or dies, the stream of messages just ends.  The cancellation comes at the next
                # await: this one, before anything is committed.
                await asyncio.sleep(0)
                commit = self._commit(upload)
                place.keep_until(commit)
        except BaseException:
            upload.abort()
            raise
        info = await asyncio.shield(commit)
        return api.CreateVersionReply(version_info=version_message(info)).SerializeToString()

    async def _header(self, messages: Incoming) -> VersionHeader:
        raw = await messages.read()
        if raw is None:
            raise InvalidRequest("the stream is empty; it must begin with a header")
        return version_header(raw)

    async def _receive(self, messages: Incoming, upload: IUpload) -> None:
        declared_bytes = upload.header.size_bytes
        received_bytes = 0
        cutter = Cutter(self._chunk_bytes)
        writes: deque[Future[None]] = deque()
        while (raw := await messages.read()) is not None:
            data = body_data(raw)
            received_bytes += len(data)
            if received_bytes > declared_bytes:
                raise SizeMismatch(declared_bytes, received_bytes)
            for chunk in cutter.add(data):
                writes.append(upload.write(chunk))
                if len(writes) > _WRITES_UNDER_WAY:
                    await settled(writes.popleft())
                await asyncio.sleep(0)  # one message may hold very many small chunks
        if received_bytes < declared_bytes:
            raise SizeMismatch(declared_bytes, received_bytes)
        writes.extend(upload.write(chunk) for chunk in cutter.rest())
        for write in writes:
            await settled(write)

    def _commit(self, upload: IUpload) -> "asyncio.Task[VersionInfo]":
        task = asyncio.create_task(self._lookup.bridge.call(upload.commit))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return task
