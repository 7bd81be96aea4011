"""
A version comes in.

Its bytes never change while the model exists.  So where the connection breaks, the call is made again, and what had
come already is passed over: the hash of all of it is checked at the end in any case.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

from attrs import define
from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs leave it out
from xxhash import xxh3_128

from twisted_registry.client._transfer.hashing import Hashing, hash_of
from twisted_registry.client._transport.calls import Calls, cancel_call, decoded
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.requests import sendable_model_id, sendable_selector
from twisted_registry.client._transport.retries import retry, retryable_within
from twisted_registry.client.errors import (
    CorruptTransfer,
    DeadlineExceeded,
    Unreachable,
)
from twisted_registry.domain.models import VersionInfo
from twisted_registry.protocol.checksum import Checksum, from_metadata
from twisted_registry.protocol.framing import DATA_TAG, content_offset
from twisted_registry.protocol.messages import api

Progress = Callable[[int], None]
"""Is told how many bytes more have been transferred."""

_EMPTY = memoryview(b"")

_LEAST_BYTES = 64 * 1024
"""A server that sends less than this in ``idle_seconds`` sends next to nothing."""

_MOST_UNTOLD_BYTES = 64 * 1024 * 1024
"""What is taken of a version that was named by its number before its size is asked for: most have less."""

_SMALL_BYTES = 4096
"""A piece smaller than this takes more memory as an object of its own than its bytes do."""


def _data(message: bytes) -> memoryview:
    """
    Give the data that a ``RetrieveVersionDataReplyChunk`` carries, not copied.
    """
    if not message:
        return _EMPTY
    offset = content_offset(message, 0, DATA_TAG)
    if offset is not None:
        return memoryview(message)[offset:]
    return memoryview(decoded(api.RetrieveVersionDataReplyChunk, message).data_chunk)


@define
class _Stream:
    """
    A version's data as it comes, over as many calls as it takes.

    Attributes:
        received_bytes: what has been given so far.
        checksum: what the server said of it at the end, if it did.
    """

    _calls: Calls
    _model_id: str
    _version_number: int
    _call: Any = None
    received_bytes: int = 0
    _to_skip_bytes: int = 0
    _waited_seconds: float = 0.0
    _recent_bytes: int = 0
    checksum: Checksum | None = None

    async def read(self) -> memoryview | None:
        """
        Give the next data; ``None`` at the end.
        """
        retry_seconds = self._calls.times.retry_seconds
        about = (self._calls.connection.address, self._model_id)
        return await retry(self._read, retry_seconds, retryable_within(retry_seconds), about)

    def close(self) -> None:
        """
        Want no more.
        """
        call, self._call = self._call, None
        cancel_call(call)

    async def _read(self) -> memoryview | None:
        try:
            while True:
                data = await self._next()
                if data is None:
                    return None
                skipped = min(self._to_skip_bytes, len(data))
                self._to_skip_bytes -= skipped
                if skipped < len(data) or not data:
                    self.received_bytes += len(data) - skipped
                    return data[skipped:]
        except Unreachable as error:
            self.close()
            raise await self._calls.connection.explained(error) from None
        except BaseException:
            self.close()
            raise

    async def _next(self) -> memoryview | None:
        connection = self._calls.connection
        idle_seconds = self._calls.times.idle_seconds
        with connection.guarded(self._model_id, self._version_number):
            if self._call is None:
                self._to_skip_bytes = self.received_bytes
                number = sendable_selector(self._model_id, self._version_number)
                request = api.RetrieveVersionDataRequest(
                    model_id=sendable_model_id(self._model_id), version_number=number
                )
                method = connection.method("RetrieveVersionData")
                self._call = method(request.SerializeToString(), metadata=connection.metadata)
            began = time.monotonic()
            try:
                async with asyncio.timeout(idle_seconds - self._waited_seconds):
                    message = await self._call.read()
            except TimeoutError:
                raise DeadlineExceeded(
                    f"nothing came of version {self._version_number} for {idle_seconds:g} s, or next to nothing; try "
                    "again, or give the client longer idle_seconds"
                ) from None
        if message is not EOF:
            data = _data(message)
            self._note_progress(time.monotonic() - began, len(data))
            return data
        self.checksum = from_metadata(await self._call.trailing_metadata())
        await connection.memory.learn(self._call)
        return None

    def _note_progress(self, waited_seconds: float, size_bytes: int) -> None:
        # Only the time in which the server is waited for counts, as at its own end: a reader may be slow.
        self._waited_seconds += waited_seconds
        self._recent_bytes += size_bytes
        if self._recent_bytes >= _LEAST_BYTES:
            self._waited_seconds, self._recent_bytes = 0.0, 0


class _PieceBuffer:
    """
    Pieces that have come.
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
        Return all of them, one after the other.
        """
        return b"".join((*self._pieces, self._small))


@define
class Download:
    """
    Retrieves the data of a version.

    Attributes:
        info: the version's info, where it is known.
        is_pinned: whether the caller has brought the info, so that nothing the server says of its hash is believed.
    """

    _calls: Calls
    _model_id: str
    _version_number: int
    info: VersionInfo | None
    _progress: Progress
    is_pinned: bool = False

    async def whole(self) -> bytes:
        """
        Give the data, once it has been checked.  A server that has compared the hash itself tells a digest beside it;
        to compare this takes a fifteenth of the time.

        Raises:
            RegistryError: see ``Client.retrieve``.
        """
        digest = xxh3_128()
        hashing = Hashing()
        gathered = _PieceBuffer()
        stream = self._stream()
        try:
            while (piece := await self._next(stream)) is not None:
                if self.is_pinned:
                    await hashing.add(piece)
                else:
                    digest.update(piece)
                gathered.add(piece)
        finally:
            stream.close()
        data = gathered.whole()
        expected = await self._expected(stream)
        self._check_size(len(data), expected)
        if self.is_pinned:
            self._check("hash", await hashing.result(), expected.sha256)
        elif expected.xxh3:
            self._check("digest", digest.hexdigest(), expected.xxh3)
        else:
            self._check("hash", await hash_of(data), expected.sha256)
        return data

    async def pieces(self) -> AsyncGenerator[memoryview, None]:
        """
        Give the data as it comes.  The last piece is held back until the hash has matched, so that nobody holds wrong
        bytes whole.

        Raises:
            RegistryError: see ``Client.retrieve``.
        """
        hashing = Hashing()
        stream = self._stream()
        try:
            held = _EMPTY
            while (piece := await self._next(stream)) is not None:
                await hashing.add(piece)
                if piece:  # an empty one behind the last would let that go before its hash was compared
                    if held:
                        yield held
                    held = piece
            expected = await self._expected(stream)
            self._check_size(hashing.size_bytes, expected)
            self._check("hash", await hashing.result(), expected.sha256)
            if held:
                yield held
        finally:
            stream.close()

    def _stream(self) -> _Stream:
        return _Stream(self._calls, self._model_id, self._version_number)

    async def _next(self, stream: _Stream) -> memoryview | None:
        piece = await stream.read()
        if piece is not None:
            if self.info is None and stream.received_bytes > _MOST_UNTOLD_BYTES:
                self.info = await Queries(self._calls).version(self._model_id, self._version_number)
            if self.info is not None and stream.received_bytes > self.info.size_bytes:
                self._refuse(f"more than its {self.info.size_bytes} bytes came")
            self._progress(len(piece))
        return piece

    async def _expected(self, stream: _Stream) -> Checksum:
        if stream.checksum is None:
            # Servers of other makes say nothing with the data.
            info = self.info or await Queries(self._calls).version(self._model_id, self._version_number)
            return Checksum(info.size_bytes, info.sha256)
        if self.info is not None:
            self._check("hash", stream.checksum.sha256, self.info.sha256)
        return stream.checksum

    def _check_size(self, size_bytes: int, expected: Checksum) -> None:
        if size_bytes != expected.size_bytes:
            self._refuse(f"{size_bytes} bytes came of {expected.size_bytes}")

    def _check(self, what: str, computed: str, expected: str) -> None:
        if computed != expected:
            self._refuse(f"what came has the {what} {computed}, and should have {expected}")

    def _refuse(self, reason: str) -> None:
        raise CorruptTransfer(self._model_id, self._version_number, reason)
