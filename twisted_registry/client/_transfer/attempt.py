"""
Attempts to send a version.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc.aio
from attrs import define, field

from twisted_registry.client._transfer.hashing import Hashing
from twisted_registry.client._transfer.sources import Source
from twisted_registry.client._transfer.wires import UploadWire
from twisted_registry.client._transport.connection import Connection
from twisted_registry.client._transport.final_status import FinalStatus
from twisted_registry.client._transport.replies import check_size
from twisted_registry.client._types import Buffer, Progress
from twisted_registry.client.errors import BadReply, CorruptTransfer, DataChanged, SizeMismatch, Unavailable
from twisted_registry.domain.errors import shown
from twisted_registry.domain.integrity import Xxh3
from twisted_registry.domain.models import VersionHeader, VersionInfo
from twisted_registry.protocol.call_metadata import Checksum, checksum_in

_LEAST_BYTES_PER_SECOND = 1024 * 1024
"""A server that stores data more slowly than this counts as stuck."""

_MOST_BETWEEN_CHECKS_SECONDS = 1.0


class SourceFailed(Exception):
    """
    The source raised an error, which must not be mistaken for one of the server.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error


@define
class Attempt:
    """
    One attempt to send a version.

    Attributes:
        has_started: whether data was read from the source.
        is_complete: whether a server may have received all data.
        _wire: the messages of the call.
        _offset: how many bytes at the beginning the server has already: they are hashed, and not sent.
        _progress: called with the number of bytes sent.
        _idle_seconds: how long the server may accept nothing, or not answer.
    """

    _connection: Connection
    _header: VersionHeader
    _source: Source
    _wire: UploadWire
    _progress: Progress
    _idle_seconds: float
    _offset: int = 0
    has_started: bool = False
    is_complete: bool = False
    # Usually the XXH3 is enough, and a source that can be read again provides the SHA-256 later if it is needed.
    _sha256: Hashing | None = None
    _xxh3: Xxh3 = field(factory=Xxh3)
    _limit: asyncio.Timeout = field(factory=lambda: asyncio.timeout(None))
    _waiting_since: float | None = None
    _allowed_seconds: float = field(init=False)
    _check: asyncio.TimerHandle | None = None

    def __attrs_post_init__(self) -> None:
        self._allowed_seconds = self._idle_seconds
        if not self._header.sha256 and (self._header.archived or not self._source.repeatable):
            self._sha256 = Hashing()

    async def send(self) -> VersionInfo:
        """
        Send the version.

        Raises:
            RegistryError: see ``Client.publish``.
            SourceFailed: the source raised an error.
        """
        async with aclosing(self._source.pieces()) as pieces:
            # If reading takes long, the server would take an open call for a stalled one.
            first = await self._skip(pieces) if self._offset else None
            return await self._send(pieces, first)

    async def _skip(self, pieces: AsyncGenerator[Buffer, None]) -> Buffer:
        """
        Hash the data that the server has already.

        Returns:
            The rest of the last piece read.
        """
        left_bytes = self._offset
        while left_bytes and (piece := await self._next(pieces)) is not None:
            if len(piece) > left_bytes:
                return piece[left_bytes:]
            left_bytes -= len(piece)
        return b""

    async def _send(self, pieces: AsyncGenerator[Buffer, None], first: Buffer | None) -> VersionInfo:
        connection = self._connection
        model_id, memory = self._header.model_id, connection.memory
        metadata = (*connection.metadata, *memory.metadata_about(model_id), *self._wire.metadata)
        call = connection.method(self._wire.method)(metadata=metadata)
        status = FinalStatus(call)
        try:
            with connection.translating_errors(model_id):
                try:
                    raw = await self._answer(call, pieces, first)
                    checksum = checksum_in(await call.trailing_metadata())
                    await memory.learn(call)
                except (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
                    raise await status.error() from None
        finally:
            call.cancel()
        info = self._info(raw)
        memory.saw(model_id, info.version_number)
        await self._check_stored(info, checksum)
        return info

    async def _answer(self, call: Any, pieces: AsyncGenerator[Buffer, None], first: Buffer | None) -> bytes:
        """
        Send all data, and wait for the answer.

        Raises:
            Unavailable: the server accepted nothing for too long, or did not answer.
        """
        try:
            async with self._limit:
                self._check_later()
                await self._write(call, pieces, first)
                # The server may have to wait for its disk.
                self._allowed_seconds += self._header.size_bytes / _LEAST_BYTES_PER_SECOND
                self._waiting_since = time.monotonic()
                raw: bytes = await call
                return raw
        except TimeoutError:
            if not self._limit.expired():
                raise
            what = "did not answer after all data was sent" if self.is_complete else "accepted no data"
            reason = f"the server at {self._connection.address} {what}, for {self._idle_seconds:g} s or more"
            raise Unavailable(reason) from None
        finally:
            if self._check is not None:
                self._check.cancel()

    def _check_later(self) -> None:
        # A check from time to time costs less than a timer for each message.
        loop = asyncio.get_running_loop()
        self._check = loop.call_later(min(_MOST_BETWEEN_CHECKS_SECONDS, self._idle_seconds / 4), self._check_time)

    def _check_time(self) -> None:
        since = self._waiting_since
        if since is not None and time.monotonic() - since >= self._allowed_seconds:
            self._limit.reschedule(asyncio.get_running_loop().time())
        else:
            self._check_later()

    async def sha256(self) -> str:
        """
        Return the SHA-256 of the data that was sent, in base64, once all of it was.

        Raises:
            DataChanged: the file has changed since.
        """
        if self._header.sha256:
            return self._header.sha256
        if self._sha256 is not None:
            return await self._sha256.result()
        sha256 = Hashing()
        async for piece in self._source.pieces():
            await sha256.add(piece)
        return await sha256.result()

    async def _write(self, call: Any, pieces: AsyncGenerator[Buffer, None], first: Buffer | None) -> None:
        """
        Send all data, or what follows the offset.

        The server commits as soon as it has all declared bytes.  So the last piece is held back until the source has
        ended, because the source may fail instead; if that may take a while, only the last byte is held back.

        Args:
            call: the call.
            pieces: the data.
            first: a piece to send before them; ``None`` for none.

        Raises:
            SizeMismatch: the source has more or less data than declared.
        """
        left_bytes = self._source.size_bytes - self._offset
        has_begun = left_bytes > 0
        if has_begun:
            await self._write_message(call, self._wire.first_message(self._header))
        end: Buffer = b""
        piece = first if first else await self._next(pieces)
        while piece is not None:
            left_bytes -= len(piece)
            if left_bytes == 0 and piece:
                end = piece if self._source.ends_at_once else piece[-1:]
                piece = piece[: len(piece) - len(end)]
            if left_bytes < 0:
                raise SizeMismatch(self._header.size_bytes, self._header.size_bytes - left_bytes)
            await self._write_body(call, piece)
            piece = await self._next(pieces)
        if left_bytes:
            raise SizeMismatch(self._header.size_bytes, self._header.size_bytes - left_bytes)
        self.is_complete = True
        if not has_begun:
            await self._write_message(call, self._wire.first_message(self._header))
        await self._write_body(call, end)
        await call.done_writing()

    async def _write_body(self, call: Any, piece: Buffer) -> None:
        if piece:
            await self._write_message(call, self._wire.body(piece))
            self._progress(len(piece))

    async def _write_message(self, call: Any, message: bytes) -> None:
        self._waiting_since = time.monotonic()
        await call.write(message)
        self._waiting_since = None  # the time that the source takes does not count

    async def _next(self, pieces: AsyncGenerator[Buffer, None]) -> Buffer | None:
        self.has_started = True
        try:
            piece = await anext(pieces, None)
        except Exception as error:
            raise SourceFailed(error) from error
        if piece is None:
            return None
        if self._sha256 is None:
            self._xxh3.update(piece)
        else:
            await self._sha256.add(piece)
        return piece

    def _info(self, raw: bytes) -> VersionInfo:
        check_size(raw, 1, self._header.model_id)
        info = self._wire.info(raw, self._header.model_id)
        # A transient version may have been archived since.
        if self._header.archived and not info.archived:
            raise BadReply(f"an archived version of model {shown(info.model_id)}", "it created a transient one")
        return info

    async def _check_stored(self, info: VersionInfo, checksum: Checksum | None) -> None:
        """
        Compare what was stored with what was sent.

        Raises:
            CorruptTransfer: they differ, or cannot be compared.
        """
        try:
            is_same = info.size_bytes == self._header.size_bytes and await self._has_same_hash(info, checksum)
        except DataChanged:
            reason = "its file changed before its hash could be compared with that of the stored version"
            raise CorruptTransfer(info.model_id, info.version_number, reason) from None
        if not is_same:
            raise CorruptTransfer(info.model_id, info.version_number, "other bytes were stored than were sent")

    async def _has_same_hash(self, info: VersionInfo, checksum: Checksum | None) -> bool:
        # For transient versions the server sends the XXH3 too, which takes a fifteenth of the time to compute.
        if self._sha256 is None and checksum is not None and checksum.xxh3 and checksum.sha256 == info.sha256:
            return checksum.xxh3 == self._xxh3.hexdigest()
        return info.sha256 == await self.sha256()
