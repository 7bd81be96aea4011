"""
Where a version's data comes from: memory, a file, or an iterator; all of them with a size that is known beforehand, for
the wire declares it first.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import IO, Any, Protocol, cast

from attrs import frozen

PIECE_BYTES = 1024 * 1024
"""What is sent at a time: far below the 4 MiB that stock servers take."""

_SPOOLED_BYTES = 64 * 1024 * 1024
"""What is held in memory of data whose size is not known; more goes to a temporary file."""

Buffer = bytes | bytearray | memoryview

Data = Buffer | os.PathLike[str] | IO[bytes] | Iterable[Buffer] | AsyncIterable[Buffer]
"""
What can be published: anything that holds bytes in memory, such as C{bytes} or a NumPy array; the path of a file, as a
C{Path}; a file that is open for reading bytes, from where it stands; or pieces of any size from an iterable.
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

    def pieces(self) -> AsyncIterator[Buffer]:
        """
        Give the data from its beginning, at most L{PIECE_BYTES} at a time.
        """


def _cut(data: Any) -> Iterator[memoryview]:
    view = memoryview(data).cast("B")
    return (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))


@frozen
class _Memory:
    """
    Bytes in memory.
    """

    _data: memoryview
    repeatable: bool = True

    @property
    def size_bytes(self) -> int:
        """See L{Source.size_bytes}."""
        return self._data.nbytes

    async def pieces(self) -> AsyncIterator[Buffer]:
        """See L{Source.pieces}."""
        for piece in _cut(self._data):
            yield piece


@frozen
class _File:
    """
    An open file, from a position on.
    """

    _file: IO[bytes]
    _start: int
    size_bytes: int
    repeatable: bool = True

    async def pieces(self) -> AsyncIterator[Buffer]:
        """See L{Source.pieces}."""
        await asyncio.to_thread(self._file.seek, self._start)
        while piece := await asyncio.to_thread(self._file.read, PIECE_BYTES):
            yield piece


@frozen
class _Stream:
    """
    Pieces that come once.
    """

    _pieces: AsyncIterable[Buffer]
    size_bytes: int
    repeatable: bool = False

    async def pieces(self) -> AsyncIterator[Buffer]:
        """See L{Source.pieces}."""
        async for large in self._pieces:
            for piece in _cut(large):
                yield piece


async def _reads(file: IO[bytes]) -> AsyncIterator[Buffer]:
    while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
        yield piece


async def _one_by_one(pieces: Iterable[Buffer]) -> AsyncIterator[Buffer]:
    iterator = iter(pieces)
    # In a thread: what makes the pieces may compute, or wait for a disk.
    while (piece := await asyncio.to_thread(next, iterator, None)) is not None:
        yield piece


def _as_buffer(data: Any) -> memoryview | None:
    try:
        return memoryview(data)
    except TypeError:
        return None


def _sized_file(file: IO[bytes]) -> _File:
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    return _File(file, start, end - start)


def _stream(data: Any) -> AsyncIterable[Buffer]:
    if hasattr(data, "read"):
        return _reads(cast(IO[bytes], data))
    if isinstance(data, AsyncIterable):
        return data
    if isinstance(data, Iterable) and not isinstance(data, str):
        return _one_by_one(data)
    raise TypeError(
        f"{type(data).__name__} is nothing that can be published: give bytes, a Path, a file open for reading bytes, "
        "or an iterable of bytes"
    )


@asynccontextmanager
async def source_of(data: Data, size_bytes: int | None = None) -> AsyncIterator[Source]:
    """
    Make a source of data, for as long as the context lasts.

    @param size_bytes: of data that comes from an iterable or a pipe.  Where it is not known, the data is gathered
        first: in memory up to 64 MiB, in a temporary file beyond.

    @raise TypeError: it is nothing that can be published.
    @raise OSError: a file cannot be read.
    """
    buffer = _as_buffer(data)
    if buffer is not None:
        yield _Memory(buffer)
    elif isinstance(data, os.PathLike):
        with await asyncio.to_thread(open, data, "rb") as file:
            yield await asyncio.to_thread(_sized_file, file)
    elif hasattr(data, "seekable") and data.seekable():
        yield await asyncio.to_thread(_sized_file, cast(IO[bytes], data))
    elif size_bytes is not None:
        yield _Stream(_stream(data), size_bytes)
    else:
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as spooled:
            async for piece in _stream(data):
                await asyncio.to_thread(spooled.write, piece)
            yield _File(cast(IO[bytes], spooled), 0, spooled.tell())
