"""
A version on its way out: from the transient store, or from the archive, checked as it is read.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from attrs import define, field, frozen
from xxhash import xxh3_128, xxh3_128_digest
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchive, IArchiveReader
from twisted_registry.contracts.execution import ISerialExecutor
from twisted_registry.contracts.transfers import IChunker, IDownload
from twisted_registry.contracts.transient import ITransientReader, ITransientStore, ITransientWriter
from twisted_registry.domain.errors import CorruptModel, CorruptVersion, StorageFailure, UnknownModel, UnknownVersion
from twisted_registry.domain.models import Chunk, VersionInfo, VersionKey


@implementer(IDownload)
@define(eq=False)
class TransientDownload:
    """
    Gives a version's chunks as the transient store holds them.

    Attributes:
        _digest: see ``IDownload.xxh3``.
        _make_serial: makes where the store's calls run.
        _reader: what reads; there from the beginning where the store never blocks.
    """

    _key: VersionKey
    _digest: str
    _store: ITransientStore
    _make_serial: Callable[[], ISerialExecutor]
    _reader: ITransientReader | None = None
    _made_serial: ISerialExecutor | None = None
    _in_memory: bool = False

    def open(self) -> None:
        """
        Take hold of the version in a store that never blocks, so that it can be read to its end, evicted or not.

        Raises:
            UnknownVersion: it is not held.
        """
        self._reader = self._opened()
        self._in_memory = True

    def _opened(self) -> ITransientReader:
        try:
            return self._store.open_version(self._key)
        except KeyError:
            raise UnknownVersion(self._key.model_id, self._key.version_number) from None

    @property
    def _serial(self) -> ISerialExecutor:
        if self._made_serial is None:
            self._made_serial = self._make_serial()
        return self._made_serial

    def at_once(self) -> Iterator[Chunk] | None:
        """See ``IDownload.at_once``."""
        if not self._in_memory or self._reader is None:
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
        return self._digest

    def close(self) -> None:
        """See ``IDownload.close``."""
        if self._in_memory and self._made_serial is None:
            self._close()
        else:
            self._serial.submit(self._close, 0)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()


@frozen
class Framing:
    """
    How the protocol edge wants data.

    Attributes:
        chunk_bytes: length of all chunks but the last.
        frame: puts data of the archive into the form it will be sent in.
        chunker: makes what does so with the data of an upload.
    """

    chunk_bytes: int
    frame: Callable[[bytes], Chunk]
    chunker: Callable[[], IChunker]


@frozen
class Copy:
    """
    A copy of an archived version that is made while it is read.

    Attributes:
        keep: called in the serial executor's thread when the copy is whole and its hash has matched.
        give_up: called in the serial executor's thread when it will never be.
    """

    writer: ITransientWriter
    keep: Callable[[], None]
    give_up: Callable[[], None]


@frozen
class Digests:
    """
    The XXH3-128 of a version whose hash has matched.

    Attributes:
        chunks: those of its chunks.
        whole: that of all its data, in hexadecimal.
    """

    chunks: tuple[bytes, ...]
    whole: str


@frozen
class Watch:
    """
    What a download asks and tells the registry, in its serial executor's thread.

    Attributes:
        gone: tells whether the model was deleted meanwhile.
        damaged: is told of damage.
        checked: is told the digests, once the hash has matched.
    """

    gone: Callable[[], bool]
    damaged: Callable[[CorruptVersion], None]
    checked: Callable[[Digests], None]


MOST_DIGESTS = 4096
"""Of one version: 16 GiB of it in chunks of the usual size."""


@implementer(IDownload)
@define(eq=False)
class ArchiveDownload:
    """
    Reads a version from the archive, and checks it on the way.

    The first time a version is read it is hashed, and digests of each chunk and of all are kept; from then on each
    chunk is compared with its digest, which takes a thirtieth of the time.

    A download that failed has failed for good: what was to be read after that, and may be asked for already, would be
    taken for what failed.

    Attributes:
        _digests: ``None`` where the version is to be hashed.
        _whole: that of all data so far, where the version is hashed.
        _seen: those of the chunks so far; ``None`` where there will be too many to keep, or they are known.
        _copy: ``None`` where no copy is to be kept.
    """

    _info: VersionInfo
    _archive: IArchive
    _serial: ISerialExecutor
    _framing: Framing
    _watch: Watch
    _digests: Digests | None = None
    _copy: Copy | None = None
    _reader: IArchiveReader | None = None
    _hash: "hashlib._Hash" = field(factory=hashlib.sha256)
    _whole: xxh3_128 = field(factory=xxh3_128)
    _seen: list[bytes] | None = field(init=False)
    _chunks: int = 0
    _position: int = 0
    _ended: bool = False
    _failure: BaseException | None = None

    def __attrs_post_init__(self) -> None:
        few = self._info.size_bytes <= MOST_DIGESTS * self._framing.chunk_bytes
        self._seen = [] if few and self._digests is None else None

    def at_once(self) -> None:
        """See ``IDownload.at_once``."""

    def read(self) -> Future[Chunk | None]:
        """See ``IDownload.read``."""
        return self._serial.submit(self._read, self._framing.chunk_bytes)

    def _read(self) -> Chunk | None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            return None
        try:
            return self._next_chunk()
        except BaseException as error:  # whatever a provider raises
            self._failure = self._told(error)
            raise self._failure from None

    def _told(self, error: BaseException) -> BaseException:
        if isinstance(error, CorruptModel | CorruptVersion | StorageFailure) and self._watch.gone():
            return UnknownModel(self._info.model_id)
        if isinstance(error, CorruptVersion):
            self._watch.damaged(error)
        return error

    def _next_chunk(self) -> Chunk:
        if self._reader is None:
            self._reader = self._archive.open_version(self._info.model_id, self._info.version_number)
        wanted = min(self._framing.chunk_bytes, self._info.size_bytes - self._position)
        data = self._reader.read(wanted)
        if len(data) < wanted:
            raise self._corrupt(f"its data ends after {self._position + len(data)} of {self._info.size_bytes} bytes")
        self._position += len(data)
        last = self._position == self._info.size_bytes
        if last and self._reader.read(1):
            raise self._corrupt(f"its data goes on after {self._info.size_bytes} bytes")
        self._check(data, last)
        self._chunks += 1
        self._ended = last
        chunk = self._framing.frame(data)
        self._add_to_copy(chunk, last)
        return chunk

    def _check(self, data: bytes, last: bool) -> None:
        if self._digests is not None:
            if xxh3_128_digest(data) != self._digests.chunks[self._chunks]:
                raise self._corrupt("its data is no longer what it was when it had its SHA-256")
            return
        self._hash.update(data)
        self._whole.update(data)
        if self._seen is not None:
            self._seen.append(xxh3_128_digest(data))
        # The last chunk is given only once the hash of all has matched, so that nobody holds wrong bytes whole.
        if last:
            self._check_hash()
            if self._seen is not None:
                self._watch.checked(Digests(tuple(self._seen), self._whole.hexdigest()))

    def _check_hash(self) -> None:
        computed = b64encode(self._hash.digest()).decode()
        if computed != self._info.sha256:
            raise self._corrupt(f"its data has the SHA-256 {computed} and not {self._info.sha256}")

    def _corrupt(self, reason: str) -> CorruptVersion:
        return CorruptVersion(self._info.model_id, self._info.version_number, reason)

    def _add_to_copy(self, chunk: Chunk, last: bool) -> None:
        if self._copy is not None:
            self._copy.writer.write(chunk)
            if last:
                self._copy.keep()
                self._copy = None

    def xxh3(self) -> str:
        """See ``IDownload.xxh3``."""
        if not self._ended:
            return ""
        return self._whole.hexdigest() if self._digests is None else self._digests.whole

    def close(self) -> None:
        """See ``IDownload.close``."""
        self._serial.submit(self._close, 0)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._copy is not None:
            self._copy.writer.abort()
            self._copy.give_up()
            self._copy = None
