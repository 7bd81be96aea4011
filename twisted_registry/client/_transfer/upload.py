"""
Uploads of versions.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any
from uuid import uuid4

import grpc.aio
from attrs import define, evolve, field

from twisted_registry.client._transfer.create_reconciler import CreateReconciler
from twisted_registry.client._transfer.hashing import Hashing
from twisted_registry.client._transfer.sources import Source
from twisted_registry.client._transport.calls import Calls, decoded
from twisted_registry.client._transport.connection import Connection
from twisted_registry.client._transport.final_status import NO_STATUS, FinalStatus
from twisted_registry.client._transport.proxies import has_lost_answer, lost_answer
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.replies import check_size, version_info
from twisted_registry.client._transport.retries import had_no_effect, is_retryable, is_retryable_forever, retry
from twisted_registry.client._types import Buffer, Progress
from twisted_registry.client.errors import (
    BadReply,
    CorruptTransfer,
    CreationUncertain,
    DataChanged,
    ModelReplaced,
    RegistryError,
    SizeMismatch,
    Unavailable,
    UnknownModel,
    Unreachable,
    Unsupported,
)
from twisted_registry.domain.errors import shown
from twisted_registry.domain.integrity import Xxh3
from twisted_registry.domain.models import VersionHeader, VersionInfo
from twisted_registry.protocol.call_metadata import IDEMPOTENCY_KEY_ENTRY, IDEMPOTENCY_STATUS, Checksum, checksum_in
from twisted_registry.protocol.framing import BODY_TAG, DATA_TAG, field_header
from twisted_registry.protocol.messages import api

_MOST_LOST_ANSWERS = 3

_LEAST_BYTES_PER_SECOND = 1024 * 1024
"""A server that stores data more slowly than this counts as stuck."""

_MOST_BETWEEN_CHECKS_SECONDS = 1.0


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


class _SourceFailed(Exception):
    """
    The source raised an error, which must not be mistaken for one of the server.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error


@define
class _Attempt:
    """
    One attempt to send a version.

    Attributes:
        has_started: whether data was read from the source.
        is_complete: whether a server may have received all data.
        _key: the idempotency key of the creation.
        _progress: called with the number of bytes sent.
        _idle_seconds: how long the server may accept nothing, or not answer.
    """

    _connection: Connection
    _header: VersionHeader
    _source: Source
    _key: str
    _progress: Progress
    _idle_seconds: float
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
        if self._header.archived or not self._source.repeatable:
            self._sha256 = Hashing()

    async def send(self) -> VersionInfo:
        """
        Send the version.

        Raises:
            RegistryError: see ``Client.publish``.
            _SourceFailed: the source raised an error.
        """
        connection = self._connection
        model_id, memory = self._header.model_id, connection.memory
        key = (IDEMPOTENCY_KEY_ENTRY, self._key)
        metadata = (*connection.metadata, *memory.metadata_about(model_id), key)
        call = connection.method("CreateVersion")(metadata=metadata)
        status = FinalStatus(call)
        try:
            with connection.translating_errors(model_id):
                try:
                    raw = await self._answer(call)
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

    async def _answer(self, call: Any) -> bytes:
        """
        Send all data, and wait for the answer.

        Raises:
            Unavailable: the server accepted nothing for too long, or did not answer.
        """
        try:
            async with self._limit:
                self._check_later()
                await self._write(call)
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
        if self._sha256 is not None:
            return await self._sha256.result()
        sha256 = Hashing()
        async for piece in self._source.pieces():
            await sha256.add(piece)
        return await sha256.result()

    async def _write(self, call: Any) -> None:
        """
        Send all data.

        The server commits as soon as it has all declared bytes.  So the last piece is held back until the source has
        ended, because the source may fail instead; if that may take a while, only the last byte is held back.

        Raises:
            SizeMismatch: the source has more or less data than declared.
        """
        left_bytes = self._source.size_bytes
        async with aclosing(self._source.pieces()) as pieces:
            if left_bytes:
                await self._write_message(call, _first_message(self._header))
            end: Buffer = b""
            while (piece := await self._next(pieces)) is not None:
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
            self._progress(len(piece))

    async def _write_message(self, call: Any, message: bytes) -> None:
        self._waiting_since = time.monotonic()
        await call.write(message)
        self._waiting_since = None  # the time that the source takes does not count

    async def _next(self, pieces: AsyncIterator[Buffer]) -> Buffer | None:
        self.has_started = True
        try:
            piece = await anext(pieces, None)
        except Exception as error:
            raise _SourceFailed(error) from error
        if piece is None:
            return None
        if self._sha256 is None:
            self._xxh3.update(piece)
        else:
            await self._sha256.add(piece)
        return piece

    def _info(self, raw: bytes) -> VersionInfo:
        check_size(raw, 1, self._header.model_id)
        info = version_info(decoded(api.CreateVersionReply, raw).version_info, self._header.model_id)
        kind = "an archived" if self._header.archived else "a transient"
        if info.archived != self._header.archived:
            raise BadReply(f"{kind} version of model {shown(info.model_id)}", "it created one of the other kind")
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


@define
class Upload:
    """
    The creation of a version, over as many attempts as it takes.

    All attempts have the same idempotency key.  If the answer to a complete attempt is lost, and the server remembers
    keys, the version is simply sent again, and the server returns the version that it may have created already.

    Attributes:
        _progress: called with the number of bytes sent; with a negative number when a new attempt starts.
        _lost: how the answer to a complete attempt was lost; empty if none was.
    """

    _calls: Calls
    _header: VersionHeader
    _source: Source
    _progress: Progress
    _attempt: _Attempt | None = None
    _reported_bytes: int = 0
    _lost_answers: int = 0
    _lost: str = ""
    _key: str = field(factory=lambda: uuid4().hex)

    async def create(self) -> VersionInfo:
        """
        Create the version.

        Raises:
            RegistryError: see ``Client.publish``.
            Exception: the source's own error.
        """
        try:
            subject = (self._calls.connection.address, self._header.model_id)
            return await retry(self._try, self._calls.options.retry_seconds, self._is_worth_it, subject)
        except CreationUncertain:
            raise
        except (_SourceFailed, RegistryError) as error:
            raise self._final(error) from None
        finally:
            self._attempt = None  # it refers to this upload, and the cycle would keep the data alive

    def _final(self, error: _SourceFailed | RegistryError) -> Exception:
        """
        Return the error for the caller, after the last attempt.
        """
        if self._lost and not isinstance(error, UnknownModel | ModelReplaced | CorruptTransfer):
            return CreationUncertain(self._header.model_id, self._lost, is_absent=False)
        if isinstance(error, _SourceFailed):
            return error.error
        if isinstance(error, Unavailable):
            return evolve(error, reason=f"{error.reason}; no version was created")
        return error

    def _is_worth_it(self, error: BaseException) -> bool:
        can_be_sent = self._source.repeatable or self._attempt is None or not self._attempt.has_started
        return is_retryable(error) and can_be_sent

    async def _try(self) -> VersionInfo:
        self._report(-self._reported_bytes)
        idle_seconds = self._calls.options.idle_seconds
        attempt = _Attempt(self._calls.connection, self._header, self._source, self._key, self._report, idle_seconds)
        self._attempt = attempt
        try:
            return await attempt.send()
        except Unreachable as error:  # nothing was sent
            raise await self._calls.connection.with_certificate_reason(error) from None
        except Unavailable as error:
            lost = time.monotonic()
            if has_lost_answer(error) or (NO_STATUS in error.reason and not attempt.is_complete):
                await self._check_answers(attempt)
            elif attempt.is_complete and not had_no_effect(error):
                if await self._can_repeat(str(error)):
                    self._lost = self._lost or str(error)
                elif (info := await self._reconcile(attempt, lost, str(error))) is not None:
                    return info
            raise

    async def _can_repeat(self, lost: str) -> bool:
        """
        Return whether the version can be sent again safely, because the server remembers the key of the first attempt.

        Raises:
            CreationUncertain: the server could not be asked.
        """
        retry_seconds = self._calls.options.retry_seconds
        if not (self._source.repeatable and retry_seconds):
            return False
        ask = partial(Queries(self._calls.without_retries()).statuses, IDEMPOTENCY_STATUS)
        subject = (self._calls.connection.address, self._header.model_id)
        try:
            statuses = await retry(ask, retry_seconds, is_retryable_forever, subject)
        except Unsupported:
            return False
        except RegistryError:
            raise CreationUncertain(self._header.model_id, lost, is_absent=False) from None
        kind = "archived" if self._header.archived else "transient"
        return kind in statuses.get(IDEMPOTENCY_STATUS, "").split(",")

    async def _reconcile(self, attempt: _Attempt, lost: float, reason: str) -> VersionInfo | None:
        try:
            sha256 = await attempt.sha256()
        except DataChanged:
            raise CreationUncertain(self._header.model_id, reason, is_absent=False) from None
        calls, retry_seconds = self._calls.without_retries(), self._calls.options.retry_seconds
        return await CreateReconciler(calls, retry_seconds, self._header, lost, sha256).reconcile(reason)

    async def _check_answers(self, attempt: _Attempt) -> None:
        """
        Decide whether to try again if the server answered before all data was sent, and gRPC lost the answer.

        Usually it is the answer of a proxy: the upload is too large for it, or it cannot reach the registry at present.
        Another call shows whether the registry can be reached; another attempt may bring the answer again.

        Raises:
            ProxyRefused: another attempt will not succeed.
            RegistryError: the error of the other call.
        """
        await Queries(self._calls.without_retries()).server_versions()
        self._lost_answers += 1
        # After all data was sent, the registry may have received it before a proxy answered: it is not sent again.
        is_over = attempt.is_complete or not self._source.repeatable or not self._calls.options.retry_seconds
        if is_over or self._lost_answers == _MOST_LOST_ANSWERS:
            raise lost_answer(self._calls.connection.address)

    def _report(self, size_bytes: int) -> None:
        if size_bytes:
            self._reported_bytes += size_bytes
            self._progress(size_bytes)
