"""
Where a version's data comes from: memory, a file, or an iterator; all of them with a size that is known beforehand, for
the wire declares it first.
"""

import asyncio
import inspect
import io
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Set
from contextlib import asynccontextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, cast

from attrs import frozen

from twisted_registry.client._transfer.buffers import as_buffer
from twisted_registry.client._transfer.threads import SourceThread, readable
from twisted_registry.client.errors import (
    DataChanged,
    InvalidRequest,
    SizeMismatch,
)

PIECE_BYTES = 1024 * 1024
"""What is sent at a time: far below the 4 MiB that stock servers take."""

_SPOOLED_BYTES = 64 * 1024 * 1024
"""What is held in memory of data whose size is not known; more goes to a temporary file."""

Buffer = bytes | bytearray | memoryview

if TYPE_CHECKING:
    from typing_extensions import Buffer as AnyBuffer  # collections.abc has it from Python 3.12 on
else:
    AnyBuffer = Buffer

Data = AnyBuffer | os.PathLike[str] | IO[bytes] | Iterable[AnyBuffer] | AsyncIterable[AnyBuffer]
"""
What can be published: anything that holds bytes in memory, such as ``bytes`` or a NumPy array; the path of a file, as a
``Path``; a file that is open for reading bytes, from where it stands; or pieces of any size from an iterable.
"""


class Source(Protocol):
    """
    Data of a size that is known.
    """

    @property
    def size_bytes(self) -> int:
        """
        How many bytes there are.
        """

    @property
    def repeatable(self) -> bool:
        """
        Whether it can be given more than once.
        """

    @property
    def ends_at_once(self) -> bool:
        """
        Return whether the end is known as soon as the last piece is there.
        """

    def pieces(self) -> AsyncGenerator[Buffer, None]:
        """
        Give the data from its beginning, at most ``PIECE_BYTES`` at a time.
        """


_REWIND_SECONDS = 1.0
_END: Final = object()


def _cut(data: Any) -> Iterator[memoryview]:
    view = as_buffer(data)
    if view is None:
        raise TypeError(f"a piece of the data is a {type(data).__name__}, and not bytes")
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))


@frozen
class _Memory:
    """
    Bytes in memory.
    """

    _data: memoryview
    repeatable: bool = True
    ends_at_once: bool = True

    @property
    def size_bytes(self) -> int:
        """See ``Source.size_bytes``."""
        return self._data.nbytes

    async def pieces(self) -> AsyncGenerator[Buffer, None]:
        """See ``Source.pieces``."""
        for piece in _cut(self._data):
            yield piece


@frozen
class _FileSource:
    """
    An open file, from a position on.

    Attributes:
        _state: what ``_state_of`` returned when the size was looked up.
    """

    _file: IO[bytes]
    _start: int
    size_bytes: int
    _worker: SourceThread
    _state: tuple[int, ...] | None = None
    repeatable: bool = True
    ends_at_once: bool = True

    async def pieces(self) -> AsyncGenerator[Buffer, None]:
        """
        See ``Source.pieces``.

        Raises:
            DataChanged: the file is no longer what it was when its size was looked up.
        """
        await self._worker.run(self._file.seek, self._start)
        left_bytes = self.size_bytes
        while left_bytes and (piece := await _read(self._file, self._worker, min(left_bytes, PIECE_BYTES))):
            left_bytes -= len(piece)
            yield piece
        await self._worker.run(self._check_unchanged, left_bytes)

    async def rewind(self) -> None:
        """
        Go back to where the file stood, so that a caller who tries again sends all of it.
        """
        # In the worker, for a read may be under way that was cancelled; a file that does not answer is not waited for.
        with suppress(Exception):
            async with asyncio.timeout(_REWIND_SECONDS):
                await self._worker.run(self._file.seek, self._start)

    def _check_unchanged(self, left_bytes: int) -> None:
        if left_bytes:
            raise DataChanged(f"it ended {left_bytes} bytes before its {self.size_bytes}")
        if self._file.read(1):
            raise DataChanged(f"it holds more than the {self.size_bytes} bytes that it had")
        if self._state is not None and _state_of(self._file) != self._state:
            raise DataChanged("it was written to")


def _state_of(file: IO[bytes]) -> tuple[int, ...] | None:
    """
    Return what differs once a file was written to; ``None`` if it is no file of the system.

    A file that is renamed, linked or replaced by another one meanwhile is read as it was: so its change time, which
    tells of these too, is left out.
    """
    if isinstance(file, tempfile.SpooledTemporaryFile):
        return None  # to ask it for a descriptor would move it from memory to the disk
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@frozen
class _Stream:
    """
    Pieces that come once.
    """

    _pieces: AsyncIterable[AnyBuffer]
    size_bytes: int
    repeatable: bool = False
    ends_at_once: bool = False

    async def pieces(self) -> AsyncGenerator[Buffer, None]:
        """See ``Source.pieces``."""
        async for large in self._pieces:
            for piece in _cut(large):
                yield piece


async def _read(file: IO[bytes], worker: SourceThread, size_bytes: int = PIECE_BYTES) -> bytes:
    piece: bytes | str | None = await worker.run(file.read, size_bytes)
    if piece is None:
        raise BlockingIOError("the file does not wait for what is to come: open it without O_NONBLOCK")
    if isinstance(piece, str):
        raise _opened_wrongly("as text")
    return piece


async def _reads(file: IO[bytes], worker: SourceThread) -> AsyncIterator[Buffer]:
    while piece := await _read(file, worker):
        yield piece


def _is_asynchronous(data: object) -> bool:
    # Such as a stream of asyncio's.  To iterate over it would give lines.
    return inspect.iscoroutinefunction(getattr(data, "read", None))


async def _awaited_reads(stream: Any) -> AsyncIterator[Buffer]:
    while piece := await stream.read(PIECE_BYTES):
        yield piece


async def _reads_of_pipe(pipe: io.BufferedReader) -> AsyncIterator[Buffer]:
    # Not in a thread that waits for the other end: while it does, the file could not even be closed.
    while True:
        await readable(pipe.fileno())
        if not (piece := pipe.read1(PIECE_BYTES)):
            return
        yield piece


async def _one_by_one(pieces: Iterable[AnyBuffer], worker: SourceThread) -> AsyncIterator[AnyBuffer]:
    iterator = iter(pieces)
    # In a thread: what makes the pieces may compute, or wait for a disk.
    while (piece := await worker.run(next, iterator, _END)) is not _END:
        yield piece


def _opened_file(path: os.PathLike[str]) -> IO[bytes]:
    return open(path, "rb")


def _sized_file(file: IO[bytes], worker: SourceThread) -> _FileSource:
    readable_or_not = getattr(file, "readable", None)
    if readable_or_not is not None and not readable_or_not():
        raise _opened_wrongly("for writing alone")
    start = file.tell()
    end = file.seek(0, os.SEEK_END)  # which also writes out what a buffer of Python's still holds
    file.seek(start)
    if start > 0 and start >= end:
        raise InvalidRequest(
            f"the file stands at its end, after {start} bytes, as after it was written: seek(0) first, so that it is "
            "read from its beginning; for a version without data give b''"
        )
    return _FileSource(file, start, end - start, worker, _state_of(file))


def _stream(data: Any, worker: SourceThread) -> AsyncIterable[AnyBuffer]:
    if isinstance(data, io.BufferedReader) and isinstance(data.raw, io.FileIO):
        return _reads_of_pipe(data)
    if _is_asynchronous(data):
        return _awaited_reads(data)
    if hasattr(data, "read"):
        return _reads(cast(IO[bytes], data), worker)
    if isinstance(data, AsyncIterable):
        return data
    # To iterate over a tensor gives tensors; over a set, pieces in any order.
    if isinstance(data, Iterable) and not isinstance(data, str | Mapping | Set) and not hasattr(data, "__array__"):
        return _one_by_one(data, worker)
    raise _unpublishable(data)


def _unpublishable(data: object) -> TypeError:
    return TypeError(
        f"{type(data).__name__} is nothing that can be published: give bytes, a Path, a file open for reading bytes, "
        "or an iterable of bytes; save a model, its parameters or a tensor first, such as with torch.save, safetensors "
        "or numpy.savez"
    )


def _opened_wrongly(how: str) -> TypeError:
    return TypeError(
        f"a file that is open {how} is nothing that can be published: close it, and give its Path, or open it with the "
        "mode 'rb'"
    )


async def _gathered(pieces: AsyncIterable[AnyBuffer], file: Any, worker: SourceThread) -> _FileSource:
    is_empty = True
    async for piece in pieces:
        is_empty = False
        for part in _cut(piece):
            await worker.run(file.write, part)
    if is_empty:
        raise InvalidRequest(
            "the data came to its end without a single piece: was it read before? Make it anew; for a version without "
            "data give b'', or a size_bytes of 0"
        )
    return _FileSource(file, 0, file.tell(), worker)


@asynccontextmanager
async def source_of(data: Data, size_bytes: int | None = None) -> AsyncIterator[Source]:
    """
    Make a source of data, for as long as the context lasts.

    Args:
        size_bytes: of data that comes from an iterable or a pipe.  Where it is not known, the data is gathered first:
            in memory up to 64 MiB, in a temporary file beyond.

    Raises:
        InvalidRequest: the size is below 0, a file stands at its end, or an iterable was at its end before.
        SizeMismatch: the data has another size.
        TypeError: it is nothing that can be published.
        OSError: a file cannot be read.
    """
    if size_bytes is not None and size_bytes < 0:
        raise InvalidRequest(f"a size of {size_bytes} bytes was declared; it cannot be below 0")
    with SourceThread() as worker:
        async with _opened(data, size_bytes, worker) as source:
            if size_bytes is not None and source.size_bytes != size_bytes:
                raise SizeMismatch(size_bytes, source.size_bytes)
            yield source


@asynccontextmanager
async def _opened(data: Data, size_bytes: int | None, worker: SourceThread) -> AsyncIterator[Source]:
    buffer = as_buffer(data)
    if buffer is not None:
        yield _Memory(buffer)
    elif isinstance(data, os.PathLike):
        # A pipe may have a path too.
        with await worker.run(_opened_file, data) as opened:
            async with _opened(opened, size_bytes, worker) as source:
                yield source
    elif isinstance(data, io.TextIOBase):
        raise _opened_wrongly("as text")
    elif not _is_asynchronous(data) and hasattr(data, "seekable") and data.seekable():
        file = await worker.run(_sized_file, cast(IO[bytes], data), worker)
        try:
            yield file
        except BaseException:
            await file.rewind()
            raise
    elif size_bytes is not None:
        yield _Stream(_stream(data, worker), size_bytes)
    else:
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as spooled:
            yield await _gathered(_stream(data, worker), spooled, worker)
