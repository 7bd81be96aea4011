"""
The reading of versions: their data, or a part of it, is sent after a header that describes it.
"""

from collections.abc import Callable

from attrs import frozen

from twisted_registry.application.downloads import (
    CHUNKS_IN_MEMORY,
    TRIES,
    Downloads,
    SentVersion,
    send_as_read,
    send_from_memory,
)
from twisted_registry.application.queries import Queries
from twisted_registry.application.versions import Versions
from twisted_registry.contracts.application import IReceiver
from twisted_registry.contracts.transfers import IDownload
from twisted_registry.domain.errors import UnknownModel, UnknownVersion
from twisted_registry.domain.ranges import ByteRange
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference

MakeHeader = Callable[[VersionRecord, ByteRange], bytes]
"""Returns the message about a version that precedes its data."""


@frozen
class ReadRequest:
    """
    A request to read a version.

    Attributes:
        offset: the position of the first byte.
        length: the most bytes; 0 for all.
    """

    reference: Reference
    offset: int = 0
    length: int = 0


@frozen
class OpenedRead:
    """
    A version that is being read.

    Attributes:
        part: which part of the data is read.
    """

    download: IDownload
    record: VersionRecord
    part: ByteRange


@frozen
class Reads:
    """
    The use case of reading versions by reference.

    Attributes:
        _chunk_bytes: length of the data in all chunks but a version's last.
    """

    _queries: Queries
    _versions: Versions
    _downloads: Downloads
    _chunk_bytes: int

    async def send(self, request: ReadRequest, receiver: IReceiver, make_header: MakeHeader) -> SentVersion | None:
        """
        Send a header, and then the data.

        All of the data is verified on the way, as ``Downloads.send`` does.  A part is compared with the XXH3 of its
        chunks, if these are known; the SHA-256 of all data is for the client to check.

        Returns:
            the version; ``None`` if only a part of it was read.

        Raises:
            UnknownModel: there is no such model.
            UnknownAlias: the model has no such alias.
            UnknownVersion: there is no such version.
            OutOfRange: the data ends before the offset.
            CorruptModel: the model's metadata is damaged.
            CorruptVersion: the version is damaged.
            QuotaExceeded: the client may get no data now.
            StorageFailure: the archive cannot be read.
        """
        opened = await self.open(request)
        try:
            receiver.count_stream(opened.part.length)
            header = make_header(opened.record, opened.part)
            most_bytes = len(header) + min(opened.part.length, CHUNKS_IN_MEMORY * self._chunk_bytes)
            reservation = receiver.try_reserve(most_bytes) or await receiver.reserve(most_bytes)
            reservation.start_idle_timer()
            await receiver.write(header)
            chunks = opened.download.at_once()
            if chunks is None:
                await send_as_read(opened.download, receiver, reservation, self._queries.runtime)
            else:
                await send_from_memory(chunks, receiver, reservation)
            return SentVersion(opened.record.info, opened.download.xxh3()) if opened.part.is_whole else None
        except (UnknownModel, UnknownVersion):
            await self._queries.settle(request.reference.model_id)
            raise
        finally:
            opened.download.close()

    async def open(self, request: ReadRequest) -> OpenedRead:
        """
        Find the version that a reference names now, and open its data.  The caller closes the download.

        Raises:
            UnknownModel: there is no such model.
            UnknownAlias: the model has no such alias.
            UnknownVersion: there is no such version.
            OutOfRange: the data ends before the offset.
            CorruptModel: the model's metadata is damaged.
            CorruptVersion: the version is damaged.
            StorageFailure: the archive cannot be read.
        """
        reference, registry = request.reference, self._queries.registry
        snapshot = await self._queries.snapshot(reference.model_id)
        number = 0
        for _ in range(TRIES):
            number = snapshot.resolve(reference)
            record = await self._versions.record(snapshot, number)
            part = ByteRange.of(record.size_bytes, request.offset, request.length)
            try:
                if part.is_whole:
                    return OpenedRead(registry.download(snapshot, record.info), record, part)
                return OpenedRead(registry.download_range(snapshot, record.info, part), record, part)
            except UnknownVersion:
                # It was evicted after the snapshot, and the reference may name another one by now.
                snapshot = await self._downloads.newer_snapshot(snapshot)
        raise UnknownVersion(reference.model_id, number)
