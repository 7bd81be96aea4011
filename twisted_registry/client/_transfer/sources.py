"""
Sources of a version's data: memory, files and iterators.  Their size is known at the start, because the wire declares
it first.
"""

import asyncio
import inspect
import io
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Set
from contextlib import asynccontextmanager, suppress
from typing import IO, Any, Final, Protocol, cast

from attrs import frozen

from twisted_registry.client._transfer.buffers import as_buffer
from twisted_registry.client._transfer.threads import SourceThread, readable
from twisted_registry.client._types import AnyBuffer, Buffer, Data
from twisted_registry.client.errors import (
    DataChanged,
    InvalidRequest,
    SizeMismatch,
)

PIECE_BYTES = 1024 * 1024
"""The size of a message: far below the 4 MiB that stock servers accept."""

_SPOOLED_BYTES = 64 * 1024 * 1024
"""How much data of unknown size is collected in memory; more goes to a temporary file."""


class Source(Protocol):
    """
    Data of a known size.
    """

    @property
    def size_bytes(self) -> int:
        """
        The size of the data, in bytes.
        """

    @property
    def repeatable(self) -> bool:
        """
        Return whether the data can be read more than once.
        """

    @property
    def ends_at_once(self) -> bool:
        """
        Return whether the end is known as soon as the last piece is.
        """

    def pieces(self) -> AsyncGenerator[Buffer, None]:
        """
        Yield the data from its beginning, at most ``PIECE_BYTES`` at a time.
        """


_REWIND_SECONDS = 1.0
_END: Final = object()


def _cut(data: Any) -> Iterator[memoryview]:
    view = as_buffer(data)
    if view is None:
        raise TypeError(f"a piece of the data is a {type(data).__name__}, not bytes")
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))


@frozen
class _BufferSource:
    """
    Bytes in memory.
    """

    _data: memoryview
    repeatable: bool = True
    ends_at_once: bool = True

    @property
    def size_bytes(self) -> int:
        """
        The size of the data, in bytes.
        """
        return self._data.nbytes

    async def pieces(self) -> AsyncGenerator[Buffer, None]:
        """
        Yield the data.
        """
        for piece in _cut(self._data):
            yield piece


@frozen
class _FileSource:
    """
    An open file, from a position on.

    Attributes:
        size_bytes: the size of the data, in bytes.
        _state: the result of ``_state_of`` when the size was read.
    """

    _file: IO[bytes]
    _start: int
    size_bytes: int
    _thread: SourceThread
    _state: tuple[int, ...] | None = None
    repeatable: bool = True
    ends_at_once: bool = True

    async def pieces(self) -> AsyncGenerator[Buffer, None]:
        """
        Yield the data.

        Raises:
            DataChanged: the file has changed since its size was read.
        """
        await self._thread.run(self._file.seek, self._start)
        left_bytes = self.size_bytes
        while left_bytes and (piece := await _read(self._file, self._thread, min(left_bytes, PIECE_BYTES))):
            left_bytes -= len(piece)
            yield piece
        await self._thread.run(self._check_unchanged, left_bytes)

    async def rewind(self) -> None:
        """
        Seek back to the initial position, so that the caller can try again.
        """
        # This runs in the thread, because a cancelled read may still be running; but not if the file does not answer.
        with suppress(Exception):
            async with asyncio.timeout(_REWIND_SECONDS):
                await self._thread.run(self._file.seek, self._start)

    def _check_unchanged(self, left_bytes: int) -> None:
        if left_bytes:
            raise DataChanged(f"it ended {left_bytes} bytes before its end at {self.size_bytes}")
        if self._file.read(1):
            raise DataChanged(f"it has more than its former {self.size_bytes} bytes")
        if self._state is not None and _state_of(self._file) != self._state:
            raise DataChanged("it was written to")


def _state_of(file: IO[bytes]) -> tuple[int, ...] | None:
    """
    Return attributes of a file that differ once it was written to; ``None`` if it is not a file of the system.

    They do not include the change time, which also differs if the file was renamed, linked or replaced by another one:
    its data is the same then.
    """
    if isinstance(file, tempfile.SpooledTemporaryFile):
        return None  # asking for its descriptor would move it from memory to the disk
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@frozen
class _StreamSource:
    """
    Pieces that can be read once.
    """

    _pieces: AsyncIterable[AnyBuffer]
    size_bytes: int
    repeatable: bool = False
    ends_at_once: bool = False

    async def pieces(self) -> AsyncGenerator[Buffer, None]:
        """
        Yield the data.
        """
        async for large in self._pieces:
            for piece in _cut(large):
                yield piece


async def _read(file: IO[bytes], thread: SourceThread, size_bytes: int = PIECE_BYTES) -> bytes:
    piece: bytes | str | None = await thread.run(file.read, size_bytes)
    if piece is None:
        raise BlockingIOError("the file does not wait for data: open it without O_NONBLOCK")
    if isinstance(piece, str):
        raise _opened_wrongly("as text")
    return piece


async def _reads(file: IO[bytes], thread: SourceThread) -> AsyncIterator[Buffer]:
    while piece := await _read(file, thread):
        yield piece


def _is_asynchronous(data: object) -> bool:
    # Such as a stream of asyncio's, whose iterator would yield lines.
    return inspect.iscoroutinefunction(getattr(data, "read", None))


async def _awaited_reads(stream: Any) -> AsyncIterator[Buffer]:
    while piece := await stream.read(PIECE_BYTES):
        yield piece


async def _reads_of_pipe(pipe: io.BufferedReader) -> AsyncIterator[Buffer]:
    # A thread that waits for the other end would keep the file from being closed.
    while True:
        await readable(pipe.fileno())
        if not (piece := pipe.read1(PIECE_BYTES)):
            return
        yield piece


async def _one_by_one(pieces: Iterable[AnyBuffer], thread: SourceThread) -> AsyncIterator[AnyBuffer]:
    iterator = iter(pieces)
    # A thread is used because the iterator may compute, or wait for a disk.
    while (piece := await thread.run(next, iterator, _END)) is not _END:
        yield piece


def _opened_file(path: os.PathLike[str]) -> IO[bytes]:
    return open(path, "rb")


def _sized_file(file: IO[bytes], thread: SourceThread) -> _FileSource:
    readable_or_not = getattr(file, "readable", None)
    if readable_or_not is not None and not readable_or_not():
        raise _opened_wrongly("for writing only")
    start = file.tell()
    end = file.seek(0, os.SEEK_END)  # this also flushes Python's buffer
    file.seek(start)
    if start > 0 and start >= end:
        raise InvalidRequest(
            f"the file is at its end, after {start} bytes, as if it was just written: call seek(0) first, to read it "
            "from its beginning; for a version without data, pass b''"
        )
    return _FileSource(file, start, end - start, thread, _state_of(file))


def _stream(data: Any, thread: SourceThread) -> AsyncIterable[AnyBuffer]:
    if isinstance(data, io.BufferedReader) and isinstance(data.raw, io.FileIO):
        return _reads_of_pipe(data)
    if _is_asynchronous(data):
        return _awaited_reads(data)
    if hasattr(data, "read"):
        return _reads(cast(IO[bytes], data), thread)
    if isinstance(data, AsyncIterable):
        return data
    # The iterator of a tensor yields tensors; that of a set, pieces in any order.
    if isinstance(data, Iterable) and not isinstance(data, str | Mapping | Set) and not hasattr(data, "__array__"):
        return _one_by_one(data, thread)
    raise _unpublishable(data)


def _unpublishable(data: object) -> TypeError:
    return TypeError(
        f"{type(data).__name__} cannot be published: pass bytes, a Path, a file open for reading bytes, "
        "or an iterable of bytes; save a model, its parameters or a tensor first, such as with torch.save, safetensors "
        "or numpy.savez"
    )


def _opened_wrongly(how: str) -> TypeError:
    return TypeError(
        f"a file that is open {how} cannot be published: close it, and pass its Path, or open it with the mode 'rb'"
    )


async def _collected(pieces: AsyncIterable[AnyBuffer], file: Any, thread: SourceThread) -> _FileSource:
    is_empty = True
    async for piece in pieces:
        is_empty = False
        for part in _cut(piece):
            await thread.run(file.write, part)
    if is_empty:
        raise InvalidRequest(
            "the data contains no pieces: was it read before? Create it again; for a version without data, pass b'', "
            "or a size_bytes of 0"
        )
    return _FileSource(file, 0, file.tell(), thread)


@asynccontextmanager
async def source_of(data: Data, size_bytes: int | None = None) -> AsyncIterator[Source]:
    """
    Make a source of data, for the duration of the context.

    Args:
        data: the data.
        size_bytes: the size of data from an iterable or a pipe, in bytes.  Without it, such data is collected first: up
            to 64 MiB in memory, more in a temporary file.

    Raises:
        InvalidRequest: the size is negative, a file is at its end, or an iterable was used up before.
        SizeMismatch: the data has another size.
        TypeError: the data is of a type that cannot be published.
        OSError: a file cannot be read.
    """
    if size_bytes is not None and size_bytes < 0:
        raise InvalidRequest(f"a size of {size_bytes} bytes was declared; it cannot be negative")
    with SourceThread() as thread:
        async with _opened(data, size_bytes, thread) as source:
            if size_bytes is not None and source.size_bytes != size_bytes:
                raise SizeMismatch(size_bytes, source.size_bytes)
            yield source


@asynccontextmanager
async def _opened(data: Data, size_bytes: int | None, thread: SourceThread) -> AsyncIterator[Source]:
    buffer = as_buffer(data)
    if buffer is not None:
        yield _BufferSource(buffer)
    elif isinstance(data, os.PathLike):
        # A pipe may have a path too.
        with await thread.run(_opened_file, data) as opened:
            async with _opened(opened, size_bytes, thread) as source:
                yield source
    elif isinstance(data, io.TextIOBase):
        raise _opened_wrongly("as text")
    elif not _is_asynchronous(data) and hasattr(data, "seekable") and data.seekable():
        file = await thread.run(_sized_file, cast(IO[bytes], data), thread)
        try:
            yield file
        except BaseException:
            await file.rewind()
            raise
    elif size_bytes is not None:
        yield _StreamSource(_stream(data, thread), size_bytes)
    else:
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as spooled:
            yield await _collected(_stream(data, thread), spooled, thread)
