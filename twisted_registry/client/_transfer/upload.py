"""
A version goes out.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc.aio
from attrs import define, evolve, field
from xxhash import xxh3_128

from twisted_registry.client._transfer.create_reconciler import CreateReconciler
from twisted_registry.client._transfer.hashing import Hashing
from twisted_registry.client._transfer.sources import Buffer, Source
from twisted_registry.client._transport.about import About
from twisted_registry.client._transport.calls import Calls, decoded
from twisted_registry.client._transport.connection import Connection
from twisted_registry.client._transport.final_status import NO_STATUS, FinalStatus
from twisted_registry.client._transport.proxies import has_lost_answer, lost_answer
from twisted_registry.client._transport.replies import check_size, version_info
from twisted_registry.client._transport.retries import had_no_effect, is_retryable, retry
from twisted_registry.client.errors import (
    BadReply,
    CorruptTransfer,
    CreationUncertain,
    DataChanged,
    SizeMismatch,
    Unavailable,
    Unreachable,
)
from twisted_registry.domain.errors import shown
from twisted_registry.domain.models import VersionHeader, VersionInfo
from twisted_registry.protocol.checksum import Checksum, from_metadata
from twisted_registry.protocol.framing import BODY_TAG, DATA_TAG, field_header
from twisted_registry.protocol.messages import api

Progress = Callable[[int], None]
"""Is told how many bytes more have been transferred."""

_MOST_LOST_ANSWERS = 3


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
        data_hash=header.sha256,
        user_data=header.metadata,
    )
    message = api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header(version_info=info))
    return message.SerializeToString()


_LEAST_BYTES_PER_SECOND = 1024 * 1024
"""A server that stores data more slowly than this is not waited for."""

_MOST_BETWEEN_LOOKS_SECONDS = 1.0


class _SourceFailed(Exception):
    """
    The source could not give its data.  What it raised must not be taken for something the server said.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error


@define
class _Attempt:
    """
    One try to send a version.

    Attributes:
        _told: told how many bytes more were sent.
        _idle_seconds: how long the server may take nothing, or give no answer.
        has_begun: whether something was taken from the source.
        is_complete: whether a server may have got all of it.
    """

    _connection: Connection
    _header: VersionHeader
    _source: Source
    _told: Progress
    _idle_seconds: float
    has_begun: bool = False
    is_complete: bool = False
    # Where the digest is enough to compare, the hash can still be had: the source gives its data again.
    _hashing: Hashing | None = None
    _digest: xxh3_128 = field(factory=xxh3_128)
    _limit: asyncio.Timeout = field(factory=lambda: asyncio.timeout(None))
    _waits_since: float | None = None
    _allowed_seconds: float = field(init=False)
    _looking: asyncio.TimerHandle | None = None

    def __attrs_post_init__(self) -> None:
        self._allowed_seconds = self._idle_seconds
        if self._header.archived or not self._source.repeatable:
            self._hashing = Hashing()

    async def send(self) -> VersionInfo:
        """
        Send it.

        Raises:
            RegistryError: see ``Client.publish``.
            _SourceFailed: the source has raised something.
        """
        connection = self._connection
        model_id, memory = self._header.model_id, connection.memory
        call = connection.method("CreateVersion")(metadata=(*connection.metadata, *memory.about(model_id)))
        ending = FinalStatus(call)
        try:
            with connection.guarded(model_id):
                try:
                    raw = await self._answer(call)
                    told = from_metadata(await call.trailing_metadata())
                    await memory.learn(call)
                except (grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
                    raise await ending.error() from None
        finally:
            call.cancel()
        info = self._info(raw)
        memory.note(model_id, info.version_number)
        try:
            is_what_was_sent = await self._is_what_was_sent(info, told)
        except DataChanged:
            reason = "its file changed before the hash of what was stored could be compared"
            raise CorruptTransfer(info.model_id, info.version_number, reason) from None
        if not is_what_was_sent:
            raise CorruptTransfer(info.model_id, info.version_number, "other bytes were stored than were sent")
        return info

    async def _answer(self, call: Any) -> bytes:
        """
        Send all of it, and wait for the answer.

        Raises:
            Unavailable: the server took nothing for too long, or did not answer.
        """
        try:
            async with self._limit:
                self._look_later()
                await self._write(call)
                # It may have to wait for its disk until all is there.
                self._allowed_seconds += self._header.size_bytes / _LEAST_BYTES_PER_SECOND
                self._waits_since = time.monotonic()
                raw: bytes = await call
                return raw
        except TimeoutError:
            if not self._limit.expired():
                raise
            what = "did not answer once all was sent" if self.is_complete else "took nothing of what was sent"
            reason = f"the server at {self._connection.address} {what}, for {self._idle_seconds:g} s or more"
            raise Unavailable(reason) from None
        finally:
            if self._looking is not None:
                self._looking.cancel()

    def _look_later(self) -> None:
        # To look now and then costs less than a timer for each message.
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(min(_MOST_BETWEEN_LOOKS_SECONDS, self._idle_seconds / 4), self._look)

    def _look(self) -> None:
        since = self._waits_since
        if since is not None and time.monotonic() - since >= self._allowed_seconds:
            self._limit.reschedule(asyncio.get_running_loop().time())
        else:
            self._look_later()

    async def sha256(self) -> str:
        """
        Give the hash of what was sent, once all of it was.

        Raises:
            DataChanged: the file is no longer what was sent.
        """
        if self._hashing is not None:
            return await self._hashing.result()
        hashing = Hashing()
        async for piece in self._source.pieces():
            await hashing.add(piece)
        return await hashing.result()

    async def _write(self, call: Any) -> None:
        """
        Send all of it.

        The server commits once it has all it was told of.  So the end is held back until the source has come to its
        own: it may fail instead.  Of a source that may take its time until then, a byte is held back.

        Raises:
            SizeMismatch: the source gave more or less than it should.
        """
        left_bytes = self._source.size_bytes
        async with aclosing(self._source.pieces()) as pieces:
            if left_bytes:
                await self._write_message(call, _first_message(self._header))
            end: Buffer = b""
            while (piece := await self._taken(pieces)) is not None:
                left_bytes -= len(piece)
                if left_bytes == 0 and piece:
                    end = piece if self._source.ends_at_once else piece[-1:]
                    piece = piece[: len(piece) - len(end)]
                if left_bytes < 0:
                    raise SizeMismatch(self._header.size_bytes, self._header.size_bytes - left_bytes)
                await self._write_body(call, piece)
            if left_bytes:
                raise SizeMismatch(self._header.size_bytes, self._header.size_bytes - left_bytes)
            self.is_complete = True
            if not self._header.size_bytes:
                await self._write_message(call, _first_message(self._header))
            await self._write_body(call, end)
        await call.done_writing()

    async def _write_body(self, call: Any, piece: Buffer) -> None:
        if piece:
            await self._write_message(call, _body(piece))
            self._told(len(piece))

    async def _write_message(self, call: Any, message: bytes) -> None:
        self._waits_since = time.monotonic()
        await call.write(message)
        self._waits_since = None  # how long the source takes is the caller's affair

    async def _taken(self, pieces: AsyncIterator[Buffer]) -> Buffer | None:
        self.has_begun = True
        try:
            piece = await anext(pieces, None)
        except Exception as error:
            raise _SourceFailed(error) from error
        if piece is None:
            return None
        if self._hashing is None:
            self._digest.update(piece)
        else:
            await self._hashing.add(piece)
        return piece

    def _info(self, raw: bytes) -> VersionInfo:
        check_size(raw, 1, self._header.model_id)
        info = version_info(decoded(api.CreateVersionReply, raw).version_info, self._header.model_id)
        kind = "an archived" if self._header.archived else "a transient"
        if info.archived != self._header.archived:
            raise BadReply(f"{kind} version of model {shown(info.model_id)}", "it created one of the other kind")
        return info

    async def _is_what_was_sent(self, info: VersionInfo, told: Checksum | None) -> bool:
        if info.size_bytes != self._header.size_bytes:
            return False
        # The server tells the digest of transient data beside its hash; to compare it takes a fifteenth of the time.
        if self._hashing is None and told is not None and told.xxh3 and told.sha256 == info.sha256:
            return told.xxh3 == self._digest.hexdigest()
        return info.sha256 == await self.sha256()


@define
class Upload:
    """
    Creates a version.

    Attributes:
        _progress: told how many bytes more were sent; where it begins anew, how many fewer.
    """

    _calls: Calls
    _header: VersionHeader
    _source: Source
    _progress: Progress
    _attempt: _Attempt | None = None
    _told_bytes: int = 0
    _lost_answers: int = 0

    async def create(self) -> VersionInfo:
        """
        Send it until it is there.

        Raises:
            RegistryError: see ``Client.publish``.
            Exception: whatever the source raised.
        """
        try:
            about = (self._calls.connection.address, self._header.model_id)
            return await retry(self._try, self._calls.times.retry_seconds, self._is_worth_it, about)
        except _SourceFailed as failed:
            raise failed.error from None
        except Unavailable as error:
            raise evolve(error, reason=f"{error.reason}; no version was created") from None
        finally:
            self._attempt = None  # it knows this upload, and the data would be held until garbage is looked for

    def _is_worth_it(self, error: BaseException) -> bool:
        can_be_sent = self._source.repeatable or self._attempt is None or not self._attempt.has_begun
        return is_retryable(error) and can_be_sent

    async def _try(self) -> VersionInfo:
        self._tell(-self._told_bytes)
        idle_seconds = self._calls.times.idle_seconds
        attempt = self._attempt = _Attempt(self._calls.connection, self._header, self._source, self._tell, idle_seconds)
        try:
            return await attempt.send()
        except Unreachable as error:  # nothing was sent
            raise await self._calls.connection.explained(error) from None
        except Unavailable as lost:
            lost_seconds = time.monotonic()
            if has_lost_answer(lost) or (NO_STATUS in lost.reason and not attempt.is_complete):
                await self._check_answers(attempt)
            elif attempt.is_complete and not had_no_effect(lost):
                info = await self._found(attempt, lost_seconds, str(lost))
                if info is not None:
                    return info
            raise

    async def _found(self, attempt: _Attempt, lost_seconds: float, lost: str) -> VersionInfo | None:
        try:
            sha256 = await attempt.sha256()
        except DataChanged:
            raise CreationUncertain(self._header.model_id, lost, is_absent=False) from None
        return await self._reconciler(lost_seconds, sha256).reconcile(lost)

    async def _check_answers(self, attempt: _Attempt) -> None:
        """
        Find out how it goes on where somebody answered before all was sent, and the answer was lost.

        Most often that is a proxy, for which the upload is too large or which cannot reach the registry now.  Whether
        it can, it says by its answer to another call; a further attempt may say the rest.

        Raises:
            ProxyRefused: it will not be taken.
            RegistryError: what the other call says.
        """
        await About(self._calls.without_retries()).versions()
        self._lost_answers += 1
        # Not sent again where all was sent: the registry may have got it before somebody answered in its place.
        is_over = attempt.is_complete or not self._source.repeatable or not self._calls.times.retry_seconds
        if is_over or self._lost_answers == _MOST_LOST_ANSWERS:
            raise lost_answer(self._calls.connection.address)

    def _reconciler(self, lost_seconds: float, sha256: str) -> CreateReconciler:
        calls, retry_seconds = self._calls.without_retries(), self._calls.times.retry_seconds
        return CreateReconciler(calls, retry_seconds, self._header, lost_seconds, sha256)

    def _tell(self, size_bytes: int) -> None:
        if size_bytes:
            self._told_bytes += size_bytes
            self._progress(size_bytes)
