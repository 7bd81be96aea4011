"""
A version goes out.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc.aio
from attrs import define, field
from xxhash import xxh3_128

from twisted_registry.client._calls import Calls, decoded
from twisted_registry.client._ending import Ending
from twisted_registry.client._errors import translated
from twisted_registry.client._hashing import Hashing
from twisted_registry.client._outcome import Outcome
from twisted_registry.client._retries import passes, repeated, was_not_done
from twisted_registry.client._sources import Buffer, Source
from twisted_registry.client._values import version_info
from twisted_registry.errors import CorruptTransfer, Unavailable
from twisted_registry.protocol.checksum import Checksum, from_metadata
from twisted_registry.protocol.framing import BODY_TAG, DATA_TAG, field_header
from twisted_registry.protocol.messages import api
from twisted_registry.values import VersionHeader, VersionInfo

Progress = Callable[[int], None]
"""Is told how many bytes more have been transferred."""


def _body(piece: Buffer) -> bytes:
    data_header = field_header(DATA_TAG, len(piece))
    body_header = field_header(BODY_TAG, len(data_header) + len(piece))
    return b"".join((body_header, data_header, piece))


def _first_message(header: VersionHeader) -> bytes:
    info = api.ModelVersionInfo(
        model_id=header.model_id,
        creation_timestamp=header.created_ns,
        archived=header.archived,
        data_size=header.size_bytes,
        data_hash=header.data_hash,
        user_data=header.user_data,
    )
    message = api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header(version_info=info))
    return message.SerializeToString()


@define
class _Attempt:
    """
    One try to send a version.

    @ivar hashing: C{None} where the digest is enough to compare, and the hash could still be had.
    @ivar connected: when a server had begun to get it, by the monotonic clock in seconds.
    @ivar sent_bytes: what was taken from the source.
    @ivar is_complete: whether a server may have got all of it.
    """

    hashing: Hashing | None
    digest: xxh3_128 = field(factory=xxh3_128)
    connected: float = 0.0
    sent_bytes: int = 0
    is_complete: bool = False

    async def take(self, piece: Buffer) -> None:
        """
        Take note of a piece that is to be sent.
        """
        self.sent_bytes += len(piece)
        if self.hashing is None:
            self.digest.update(piece)
        else:
            await self.hashing.add(piece)


@define
class Upload:
    """
    Creates a version.
    """

    _calls: Calls
    _header: VersionHeader
    _source: Source
    _progress: Progress
    _attempt: _Attempt = field(init=False)

    async def create(self) -> VersionInfo:
        """
        Send it until it is there.

        @raise RegistryError: see L{twisted_registry.client.Client.publish}.
        """
        return await repeated(self._try, self._calls.times.patience_seconds, self._is_worth_it)

    def _is_worth_it(self, error: BaseException) -> bool:
        return passes(error) and (self._source.repeatable or not self._attempt.sent_bytes)

    async def _try(self) -> VersionInfo:
        needs_hash = self._header.archived or not self._source.repeatable
        self._attempt = _Attempt(Hashing() if needs_hash else None)
        try:
            return await self._send()
        except Unavailable as lost:
            if self._attempt.is_complete and not was_not_done(lost):
                outcome = Outcome(self._calls, self._header, self._attempt.connected, await self._data_hash())
                info = await outcome.find_out(str(lost))
                if info is not None:
                    return info
            raise

    async def _send(self) -> VersionInfo:
        connection = self._calls.connection
        call = connection.method("CreateVersion")(metadata=connection.metadata)
        ending = Ending(call)
        try:
            with translated(connection.address, self._header.model_id):
                try:
                    await self._write(call)
                    raw: bytes = await call
                    told = from_metadata(await call.trailing_metadata())
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    raise await ending.error() from None
        finally:
            call.cancel()
        info = version_info(decoded(api.CreateVersionReply, raw).version_info)
        if not await self._is_what_was_sent(info, told):
            raise CorruptTransfer(info.model_id, info.version_number, "other bytes were stored than were sent")
        return info

    async def _write(self, call: Any) -> None:
        attempt = self._attempt
        attempt.is_complete = self._source.size_bytes == 0
        await call.write(_first_message(self._header))
        attempt.connected = time.monotonic()
        async for piece in self._source.pieces():
            await attempt.take(piece)
            attempt.is_complete = attempt.sent_bytes >= self._source.size_bytes
            await call.write(_body(piece))
            self._progress(len(piece))
        await call.done_writing()

    async def _is_what_was_sent(self, info: VersionInfo, told: Checksum | None) -> bool:
        # The server tells the digest of transient data beside its hash; to compare it takes a fifteenth of the time.
        if self._attempt.hashing is None and told is not None and told.digest and told.data_hash == info.data_hash:
            return told.digest == self._attempt.digest.hexdigest()
        return info.data_hash == await self._data_hash()

    async def _data_hash(self) -> str:
        if self._attempt.hashing is not None:
            return await self._attempt.hashing.result()
        hashing = Hashing()
        async for piece in self._source.pieces():
            await hashing.add(piece)
        return await hashing.result()
