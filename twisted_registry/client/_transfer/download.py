"""
Downloads of versions.

A version's bytes never change.  So if the connection is lost, the rest is read by ``ReadVersion``.  A server without
``twisted_registry.v1`` sends all bytes again, and those received before are skipped.  The hash of all bytes is checked
at the end in any case.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from attrs import define
from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs leave it out

from twisted_registry.client._transfer.hashing import Hashing, hash_of
from twisted_registry.client._transport.calls import Calls, cancel_call, decoded
from twisted_registry.client._transport.connection import registry_method
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.records import version_record
from twisted_registry.client._transport.replies import bad_reply, check_size
from twisted_registry.client._transport.requests import sendable_model_id, sendable_selector
from twisted_registry.client._transport.retries import retry, retryable_within
from twisted_registry.client._transport.tracing import traces
from twisted_registry.client._types import Buffer, Progress
from twisted_registry.client.errors import (
    CorruptTransfer,
    DeadlineExceeded,
    Unreachable,
    Unsupported,
)
from twisted_registry.domain.integrity import Xxh3
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.call_metadata import Checksum, checksum_in
from twisted_registry.protocol.framing import DATA_TAG, content_offset
from twisted_registry.protocol.messages import api, v1

_EMPTY = memoryview(b"")

_LEAST_BYTES = 64 * 1024
"""A server that sends less than this in ``idle_seconds`` counts as stuck."""

_MOST_UNDECLARED_BYTES = 64 * 1024 * 1024
"""How much is received of a version that was selected by number before its size is queried; most are smaller."""

_LEAST_SKIPPED_BYTES = 1024 * 1024
"""If fewer bytes were received, the version is read again from its beginning."""

_SMALL_BYTES = 4096
"""A smaller piece takes less memory as bytes than as an object."""


def _data(message: bytes) -> memoryview:
    """
    Return the data of a ``RetrieveVersionDataReplyChunk``, without a copy.
    """
    if not message:
        return _EMPTY
    offset = content_offset(message, 0, DATA_TAG)
    if offset is not None:
        return memoryview(message)[offset:]
    return memoryview(decoded(api.RetrieveVersionDataReplyChunk, message).data_chunk)


@define
class _DataStream:
    """
    A version's data, over as many calls as it takes.

    Attributes:
        received_bytes: how many bytes were received so far.
        is_bounded: whether little may be sent ahead; see ``Connection.bounded_method``.
        checksum: the checksum that the server sent at the end; ``None`` if it sent none.
    """

    _calls: Calls
    _model_id: str
    _version_number: int
    received_bytes: int = 0
    is_bounded: bool = False
    _call: Any = None
    _can_resume: bool = True
    _awaits_header: bool = False
    _to_skip_bytes: int = 0
    _waited_seconds: float = 0.0
    _recent_bytes: int = 0
    checksum: Checksum | None = None

    async def read(self) -> memoryview | None:
        """
        Return the next bytes; ``None`` at the end.
        """
        retry_seconds = self._calls.options.retry_seconds
        about = (self._calls.connection.address, self._model_id)
        return await retry(self._read, retry_seconds, retryable_within(retry_seconds), about)

    def close(self) -> None:
        """
        Cancel the call.
        """
        call, self._call = self._call, None
        cancel_call(call)

    async def _read(self) -> memoryview | None:
        try:
            while True:
                try:
                    data = await self._next()
                except Unsupported:
                    if not self._awaits_header:
                        raise
                    self._can_resume = False
                    self.close()
                    continue
                if data is None:
                    return None
                skipped = min(self._to_skip_bytes, len(data))
                self._to_skip_bytes -= skipped
                if skipped < len(data) or not data:
                    self.received_bytes += len(data) - skipped
                    return data[skipped:]
        except Unreachable as error:
            self.close()
            raise await self._calls.connection.diagnosed(error) from None
        except BaseException:
            self.close()
            raise

    async def _next(self) -> memoryview | None:
        connection = self._calls.connection
        idle_seconds = self._calls.options.idle_seconds
        with connection.translating_errors(self._model_id, self._version_number):
            if self._call is None:
                self._start()
            began = time.monotonic()
            try:
                async with asyncio.timeout(idle_seconds - self._waited_seconds):
                    message = await self._call.read()
            except TimeoutError:
                raise DeadlineExceeded(
                    f"less than {_LEAST_BYTES} bytes of version {self._version_number} arrived within {idle_seconds:g} "
                    "s; try again, or create the client with longer idle_seconds"
                ) from None
        if message is not EOF:
            if self._awaits_header:
                self._check_header(message)
                return _EMPTY
            data = _data(message)
            self._note_progress(time.monotonic() - began, len(data))
            return data
        trailing = await self._call.trailing_metadata()
        self.checksum = checksum_in(trailing)
        traces.link_creation(trailing)
        await connection.memory.learn(self._call)
        return None

    def _start(self) -> None:
        model_id, offset = sendable_model_id(self._model_id), self.received_bytes
        number = sendable_selector(self._model_id, self._version_number)
        request: Any
        if self._can_resume and offset >= _LEAST_SKIPPED_BYTES:
            name, self._awaits_header, self._to_skip_bytes = registry_method("ReadVersion"), True, 0
            request = v1.ReadVersionRequest(reference=str(Reference(model_id, number)), offset=offset)
        else:
            name, self._awaits_header, self._to_skip_bytes = "RetrieveVersionData", False, offset
            request = api.RetrieveVersionDataRequest(model_id=model_id, version_number=number)
        connection = self._calls.connection
        method = connection.bounded_method if self.is_bounded else connection.method
        self._call = method(name)(request.SerializeToString(), metadata=connection.metadata)

    def _check_header(self, message: bytes) -> None:
        """
        Check the message before the rest of the data.

        Raises:
            BadReply: it does not announce the rest of the version.
        """
        self._awaits_header = False
        check_size(message, 1, self._model_id, self._version_number)
        header = decoded(v1.ReadVersionResponse, message).header
        record = version_record(header.version, self._model_id, self._version_number)
        offset = self.received_bytes
        if (header.encoding, header.offset, header.length) != ("identity", offset, record.size_bytes - offset):
            problem = f"it sent {header.length} bytes from {header.offset} on, of {record.size_bytes} bytes"
            raise bad_reply(f"{problem}, and {offset} were received before", self._model_id, self._version_number)

    def _note_progress(self, waited_seconds: float, size_bytes: int) -> None:
        # As in the server, only the time spent waiting for the other end counts: a reader may be slow.
        self._waited_seconds += waited_seconds
        self._recent_bytes += size_bytes
        if self._recent_bytes >= _LEAST_BYTES:
            self._waited_seconds, self._recent_bytes = 0.0, 0


class _PieceBuffer:
    """
    Received pieces.
    """

    def __init__(self) -> None:
        self._pieces: list[memoryview | bytearray] = []
        self._small = bytearray()

    def add(self, piece: memoryview) -> None:
        """
        Add a piece.
        """
        if len(piece) < _SMALL_BYTES:
            self._small += piece
            return
        if self._small:
            self._pieces.append(self._small)
            self._small = bytearray()
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """
        Return the pieces, joined.
        """
        return b"".join((*self._pieces, self._small))


@define
class Download:
    """
    The download of a version.

    Attributes:
        info: the version's info; ``None`` if it is not known.
        is_pinned: whether the caller provided the info, so that the server's hash is not trusted.
    """

    _calls: Calls
    _model_id: str
    _version_number: int
    info: VersionInfo | None
    _progress: Progress
    is_pinned: bool = False
    _reported_bytes: int = 0

    async def whole(self) -> bytes:
        """
        Return the data, checked.  A server that has verified the SHA-256 itself sends an XXH3 too, which takes a
        fifteenth of the time to compute.

        Raises:
            RegistryError: see ``Client.retrieve``.
        """
        xxh3 = Xxh3()
        sha256 = Hashing()
        gathered = _PieceBuffer()
        stream = self._stream()
        try:
            while (piece := await self._next(stream)) is not None:
                if self.is_pinned:
                    await sha256.add(piece)
                else:
                    xxh3.update(piece)
                gathered.add(piece)
        finally:
            stream.close()
        data = gathered.whole()
        expected = await self._expected(stream)
        self._check_size(len(data), expected)
        if self.is_pinned:
            self._check("SHA-256", await sha256.result(), expected.sha256)
        elif expected.xxh3:
            self._check("XXH3", xxh3.hexdigest(), expected.xxh3)
        else:
            self._check("SHA-256", await hash_of(data), expected.sha256)
        return data

    async def pieces(
        self, kept: AsyncIterable[Buffer] | None = None, loses_little: bool = False
    ) -> AsyncGenerator[memoryview, None]:
        """
        Yield the data as it arrives.

        Args:
            kept: the beginning of the data, if it has arrived before: only the rest is received.
            loses_little: whether an interruption should lose little: each piece is yielded at once, and little is sent
                ahead.  Otherwise the last piece is held back until the hash has matched, so that all bytes of a wrong
                version are never yielded.

        Raises:
            RegistryError: see ``Client.retrieve``.
        """
        sha256 = Hashing()
        if kept is not None:
            async for present in kept:
                await sha256.add(present)
                self._report(len(present))
        stream = self._stream(sha256.size_bytes, is_bounded=loses_little)
        try:
            held = _EMPTY
            while (piece := await self._next(stream)) is not None:
                await sha256.add(piece)
                if piece:  # an empty one after the last would release that before the check
                    if held:
                        yield held
                    held = piece
                if held and loses_little:
                    yield held
                    held = _EMPTY
            expected = await self._expected(stream)
            self._check_size(sha256.size_bytes, expected)
            self._check("SHA-256", await sha256.result(), expected.sha256)
            if held:
                yield held
        finally:
            stream.close()

    def take_back(self) -> None:
        """
        Report that all data which was received or kept so far does not count.
        """
        self._report(-self._reported_bytes)

    def _report(self, size_bytes: int) -> None:
        self._reported_bytes += size_bytes
        self._progress(size_bytes)

    def _stream(self, received_bytes: int = 0, is_bounded: bool = False) -> _DataStream:
        return _DataStream(self._calls, self._model_id, self._version_number, received_bytes, is_bounded)

    async def _next(self, stream: _DataStream) -> memoryview | None:
        piece = await stream.read()
        if piece is not None:
            if self.info is None and stream.received_bytes > _MOST_UNDECLARED_BYTES:
                self.info = await Queries(self._calls).version(self._model_id, self._version_number)
            if self.info is not None and stream.received_bytes > self.info.size_bytes:
                self._refuse(f"more than its {self.info.size_bytes} bytes arrived")
            self._report(len(piece))
        return piece

    async def _expected(self, stream: _DataStream) -> Checksum:
        if stream.checksum is None:
            # Other implementations of the server send no checksum.
            info = self.info or await Queries(self._calls).version(self._model_id, self._version_number)
            return Checksum(info.size_bytes, info.sha256)
        if self.info is not None:
            self._check("SHA-256", stream.checksum.sha256, self.info.sha256)
        return stream.checksum

    def _check_size(self, size_bytes: int, expected: Checksum) -> None:
        if size_bytes != expected.size_bytes:
            self._refuse(f"{size_bytes} of {expected.size_bytes} bytes arrived")

    def _check(self, what: str, computed: str, expected: str) -> None:
        if computed != expected:
            self._refuse(f"the received data has the {what} {computed} instead of {expected}")

    def _refuse(self, reason: str) -> None:
        raise CorruptTransfer(self._model_id, self._version_number, reason)
