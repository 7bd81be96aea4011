"""
Downloads of a part of a version.

Chunks that lie in the range are sent as they are; the first and the last one are cut, and framed again.
"""

from collections.abc import Callable, Iterator

from attrs import define, field
from zope.interface import implementer

from twisted_registry.contracts.streams import ISeekableReader
from twisted_registry.contracts.transient import ITransientReader
from twisted_registry.domain.integrity import xxh3_digest
from twisted_registry.domain.models import Chunk
from twisted_registry.domain.ranges import ByteRange
from twisted_registry.registry.downloads import ArchiveDownload

_SKIPPED_BYTES = 1024 * 1024


@implementer(ITransientReader)
@define(eq=False)
class RangeReader:
    """
    A reader of a part of a version in the transient store.

    Attributes:
        _frame: puts data into the form in which it is sent.
        _position: the position of the next chunk of the other reader.
    """

    _reader: ITransientReader
    _range: ByteRange
    _frame: Callable[[bytes], Chunk]
    _position: int = 0
    _is_at_end: bool = False

    def read(self) -> Chunk | None:
        """See ``ITransientReader.read``."""
        while not self._is_at_end and (chunk := self._reader.read()) is not None:
            start, self._position = self._position, self._position + chunk.size_bytes
            self._is_at_end = self._position >= self._range.end
            if self._position > self._range.offset or self._is_at_end:
                return self._cut(chunk, start)
        return None

    def _cut(self, chunk: Chunk, start: int) -> Chunk:
        first, end = max(0, self._range.offset - start), self._range.end - start
        if first == 0 and end >= chunk.size_bytes:
            return chunk
        return self._frame(bytes(chunk.data[first:end]))

    def close(self) -> None:
        """See ``ITransientReader.close``."""
        self._reader.close()


@define(eq=False)
class ArchiveRangeDownload(ArchiveDownload):
    """
    A download of a part of an archived version.

    It reads the chunks that the range touches.  Each is compared with its XXH3, if that is known since the version's
    SHA-256 matched.  Otherwise nothing but the length can be checked here: the client checks the SHA-256 once it has
    all of the data.
    """

    _range: ByteRange = field(kw_only=True)

    def _next_chunk(self) -> Chunk:
        if self._reader is None:
            self._reader = self._archive.open_version(self._info.model_id, self._info.version_number)
            self._skip()
        start = self._position
        data = self._read_next(self._reader)
        self._compare(data)
        self._chunks += 1
        self._is_at_end = self._position >= self._range.end
        first, end = max(0, self._range.offset - start), self._range.end - start
        return self._framing.frame(data if first == 0 and end >= len(data) else data[first:end])

    def _skip(self) -> None:
        chunk_bytes = self._framing.chunk_bytes
        # At the end of the data, the last chunk is read, so that its length is checked.
        self._chunks = max(0, min(self._range.offset, self._info.size_bytes - 1)) // chunk_bytes
        self._position = self._chunks * chunk_bytes
        if ISeekableReader.providedBy(self._reader):
            ISeekableReader(self._reader).seek(self._position)
            return
        assert self._reader is not None
        for skipped_bytes in _pieces(self._position):
            self._reader.read(skipped_bytes)

    def _compare(self, data: bytes) -> None:
        if self._xxh3 is not None and xxh3_digest(data) != self._xxh3.chunks[self._chunks]:
            raise self._corrupt("its data has changed since its SHA-256 matched")

    def xxh3(self) -> str:
        """See ``IDownload.xxh3``.  That of a part is not known."""
        return ""


def _pieces(size_bytes: int) -> Iterator[int]:
    for start in range(0, size_bytes, _SKIPPED_BYTES):
        yield min(_SKIPPED_BYTES, size_bytes - start)
