"""
Downloads of versions: from the transient store, or from the archive and verified while they are read.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future

from attrs import define, field, frozen
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.execution import ISerialExecutor
from twisted_registry.contracts.streams import IArchiveReader
from twisted_registry.contracts.transfers import IChunker, IDownload
from twisted_registry.contracts.transient import ITransientReader, ITransientWriter
from twisted_registry.domain.errors import CorruptModel, CorruptVersion, StorageFailure, UnknownModel, UnknownVersion
from twisted_registry.domain.integrity import Sha256, Xxh3, xxh3_digest
from twisted_registry.domain.models import Chunk, VersionInfo, VersionKey


@implementer(IDownload)
@define(eq=False)
class TransientDownload:
    """
    A download of a version's chunks as the transient store holds them.

    Attributes:
        _xxh3: see ``IDownload.xxh3``.
        _make_serial: makes the executor for the store's calls.
        _select: returns a reader of the wanted part, made from one of all data; ``None`` to read all of it.
        _reader: from the beginning on if the store never blocks.
    """

    _key: VersionKey
    _xxh3: str
    _open_version: Callable[[VersionKey], ITransientReader]
    _make_serial: Callable[[], ISerialExecutor]
    _select: Callable[[ITransientReader], ITransientReader] | None = None
    _reader: ITransientReader | None = None
    _made_serial: ISerialExecutor | None = None
    _is_in_memory: bool = False

    def open(self) -> None:
        """
        Open the version in a store that never blocks, so that it can be read to its end even if it is evicted.

        Raises:
            UnknownVersion: the store does not hold it.
        """
        self._reader = self._opened()
        self._is_in_memory = True

    def _opened(self) -> ITransientReader:
        try:
            reader = self._open_version(self._key)
        except KeyError:
            raise UnknownVersion(self._key.model_id, self._key.version_number) from None
        return reader if self._select is None else self._select(reader)

    @property
    def _serial(self) -> ISerialExecutor:
        if self._made_serial is None:
            self._made_serial = self._make_serial()
        return self._made_serial

    def at_once(self) -> Iterator[Chunk] | None:
        """See ``IDownload.at_once``."""
        if not self._is_in_memory or self._reader is None:
            return None
        return iter(self._reader.read, None)

    def read(self) -> Future[Chunk | None]:
        """See ``IDownload.read``."""
        return self._serial.submit(self._read, 0)

    def _read(self) -> Chunk | None:
        if self._reader is None:
            self._reader = self._opened()
        return self._reader.read()

    def xxh3(self) -> str:
        """See ``IDownload.xxh3``."""
        return self._xxh3

    def close(self) -> None:
        """See ``IDownload.close``."""
        if self._is_in_memory and self._made_serial is None:
            self._close()
        else:
            self._serial.submit(self._close, 0)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()


@frozen
class Framing:
    """
    The form in which the protocol edge wants data.

    Attributes:
        chunk_bytes: the length of every chunk except the last.
        frame: puts data of the archive into the form in which it is sent.
        chunker: makes an object that does the same with the data of an upload.
    """

    chunk_bytes: int
    frame: Callable[[bytes], Chunk]
    chunker: Callable[[], IChunker]


@frozen
class Copy:
    """
    A copy of an archived version that is made while the version is read.

    Attributes:
        keep: called in the serial executor's thread when the copy is complete and its SHA-256 has matched.
        abandon: called in the serial executor's thread if the copy will never be complete.
    """

    writer: ITransientWriter
    keep: Callable[[], None]
    abandon: Callable[[], None]


@frozen
class VersionXxh3:
    """
    The XXH3-128 of a version whose SHA-256 has matched.

    Attributes:
        chunks: that of each chunk.
        whole: that of all data, in hexadecimal.
    """

    chunks: tuple[bytes, ...]
    whole: str


@frozen
class DownloadCallbacks:
    """
    The calls of a download to the registry, in the thread of its serial executor.

    Attributes:
        is_gone: returns whether the model was deleted meanwhile.
        is_deleted: returns whether the version was deleted meanwhile.
        damaged: called with the damage that was found.
        verified: called with the XXH3 after the SHA-256 has matched.
    """

    is_gone: Callable[[], bool]
    is_deleted: Callable[[], bool]
    damaged: Callable[[CorruptVersion], None]
    verified: Callable[[VersionXxh3], None]


MAX_CHUNK_XXH3 = 4096
"""For one version: 16 GiB in chunks of the usual size."""


@implementer(IDownload)
@define(eq=False)
class ArchiveDownload:
    """
    A download of an archived version, which is verified on the way.

    The first time, the version's SHA-256 is computed, and the XXH3 of each chunk and of all data are kept.  From then
    on each chunk is compared with its XXH3, which takes a thirtieth of the time.

    A download that has failed keeps failing: the next read, which may be under way already, would otherwise return the
    data after the failed chunk in its place.

    Attributes:
        _xxh3: ``None`` if the SHA-256 is to be computed.
        _whole_xxh3: that of all data so far, if the SHA-256 is computed.
        _chunk_xxh3: those of the chunks so far; ``None`` if there will be too many to keep, or they are known.
        _copy: ``None`` for no copy.
    """

    _info: VersionInfo
    _archive: IArchive
    _serial: ISerialExecutor
    _framing: Framing
    _callbacks: DownloadCallbacks
    _xxh3: VersionXxh3 | None = None
    _copy: Copy | None = None
    _reader: IArchiveReader | None = None
    _sha256: Sha256 = field(factory=Sha256)
    _whole_xxh3: Xxh3 = field(factory=Xxh3)
    _chunk_xxh3: list[bytes] | None = field(init=False)
    _chunks: int = 0
    _position: int = 0
    _is_at_end: bool = False
    _failure: BaseException | None = None

    def __attrs_post_init__(self) -> None:
        are_few = self._info.size_bytes <= MAX_CHUNK_XXH3 * self._framing.chunk_bytes
        self._chunk_xxh3 = [] if are_few and self._xxh3 is None else None

    def at_once(self) -> None:
        """See ``IDownload.at_once``."""

    def read(self) -> Future[Chunk | None]:
        """See ``IDownload.read``."""
        return self._serial.submit(self._read, self._framing.chunk_bytes)

    def _read(self) -> Chunk | None:
        if self._failure is not None:
            raise self._failure
        if self._is_at_end:
            return None
        try:
            return self._next_chunk()
        except BaseException as error:  # whatever a provider raises
            self._failure = self._reported(error)
            raise self._failure from None

    def _reported(self, error: BaseException) -> BaseException:
        if isinstance(error, CorruptModel | CorruptVersion | StorageFailure) and self._callbacks.is_gone():
            return UnknownModel(self._info.model_id)
        if isinstance(error, CorruptVersion) and self._reader is None and self._callbacks.is_deleted():
            return UnknownVersion(self._info.model_id, self._info.version_number)
        if isinstance(error, CorruptVersion):
            self._callbacks.damaged(error)
        return error

    def _next_chunk(self) -> Chunk:
        if self._reader is None:
            self._reader = self._archive.open_version(self._info.model_id, self._info.version_number)
        data = self._read_next(self._reader)
        is_last = self._position == self._info.size_bytes
        self._verify(data, is_last)
        self._chunks += 1
        self._is_at_end = is_last
        chunk = self._framing.frame(data)
        self._add_to_copy(chunk, is_last)
        return chunk

    def _read_next(self, reader: IArchiveReader) -> bytes:
        wanted = min(self._framing.chunk_bytes, self._info.size_bytes - self._position)
        data = reader.read(wanted)
        if len(data) < wanted:
            raise self._corrupt(f"its data ends after {self._position + len(data)} of {self._info.size_bytes} bytes")
        self._position += len(data)
        if self._position == self._info.size_bytes and reader.read(1):
            raise self._corrupt(f"its data continues after {self._info.size_bytes} bytes")
        return data

    def _verify(self, data: bytes, is_last: bool) -> None:
        if self._xxh3 is not None:
            if xxh3_digest(data) != self._xxh3.chunks[self._chunks]:
                raise self._corrupt("its data has changed since its SHA-256 matched")
            return
        self._sha256.update(data)
        self._whole_xxh3.update(data)
        if self._chunk_xxh3 is not None:
            self._chunk_xxh3.append(xxh3_digest(data))
        # The last chunk is returned only after the SHA-256 has matched, so that no reader gets all of the wrong data.
        if is_last:
            self._verify_sha256()
            if self._chunk_xxh3 is not None:
                self._callbacks.verified(VersionXxh3(tuple(self._chunk_xxh3), self._whole_xxh3.hexdigest()))

    def _verify_sha256(self) -> None:
        computed = self._sha256.text()
        if computed != self._info.sha256:
            raise self._corrupt(f"its data has the SHA-256 {computed} and not {self._info.sha256}")

    def _corrupt(self, reason: str) -> CorruptVersion:
        return CorruptVersion(self._info.model_id, self._info.version_number, reason)

    def _add_to_copy(self, chunk: Chunk, is_last: bool) -> None:
        if self._copy is not None:
            self._copy.writer.write(chunk)
            if is_last:
                self._copy.keep()
                self._copy = None

    def xxh3(self) -> str:
        """See ``IDownload.xxh3``."""
        if not self._is_at_end:
            return ""
        return self._whole_xxh3.hexdigest() if self._xxh3 is None else self._xxh3.whole

    def close(self) -> None:
        """See ``IDownload.close``."""
        self._serial.submit(self._close, 0)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._copy is not None:
            self._copy.writer.abort()
            self._copy.abandon()
            self._copy = None
