"""
Downloads: a version's data is selected, opened and sent.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.contracts.application import IReceiver, IReplyReservation, IRuntime
from twisted_registry.contracts.tracing import part
from twisted_registry.contracts.transfers import IDownload
from twisted_registry.domain.errors import UnknownModel, UnknownVersion
from twisted_registry.domain.models import Chunk, VersionInfo
from twisted_registry.domain.references import Reference
from twisted_registry.domain.snapshot import ModelSnapshot

TRIES = 5
"""How often a version is selected again, if the one that was selected has been evicted."""

_READ_AHEAD = 2
CHUNKS_IN_MEMORY = _READ_AHEAD + 2
"""The most chunks of one download at once: one that the edge sends, one to be sent next, and those being read."""


class SentVersion(NamedTuple):
    """
    A version whose data has been sent.

    Attributes:
        info: the version's info.
        xxh3: the XXH3-128 of the data in hexadecimal; empty if it is not known.
    """

    info: VersionInfo
    xxh3: str


@frozen
class Downloads:
    """
    The use case of sending versions to the clients that ask for them.

    Attributes:
        _chunk_bytes: length of the data in all chunks but a version's last.
    """

    _queries: Queries
    _chunk_bytes: int

    async def send(self, reference: Reference, receiver: IReceiver) -> SentVersion:
        """
        Send a version's data.  The next chunks are read while one is sent.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: there is no such version.
            CorruptModel: the model's metadata is damaged.
            CorruptVersion: the version is damaged.
            QuotaExceeded: the client may get no data now.
            StorageFailure: the archive cannot be read.
        """
        download, info = await self.open(reference)
        try:
            receiver.count_stream(info.size_bytes)
            most_bytes = min(info.size_bytes, CHUNKS_IN_MEMORY * self._chunk_bytes)
            reservation = receiver.try_reserve(most_bytes) or await receiver.reserve(most_bytes)
            chunks = download.at_once()
            if chunks is None:
                await send_as_read(download, receiver, reservation, self._queries.runtime)
            else:
                await send_from_memory(chunks, receiver, reservation)
            return SentVersion(info, download.xxh3())
        except (UnknownModel, UnknownVersion):
            await self._queries.settle(reference.model_id)
            raise
        finally:
            download.close()

    async def open(self, reference: Reference) -> tuple[IDownload, VersionInfo]:
        """
        Select a version and open its data, again if it is evicted meanwhile.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: there is no such version.
            CorruptModel: the model's metadata is damaged.
            CorruptVersion: the version is damaged.
            StorageFailure: the archive cannot be read.
        """
        snapshot = await self._queries.snapshot(reference.model_id)
        for _ in range(TRIES):
            info = await self._queries.version(snapshot, snapshot.select(reference.version))
            try:
                return self._queries.registry.download(snapshot, info), info
            except UnknownVersion:
                # It was evicted after the snapshot, perhaps by a newer version, which '-1' means by now.
                snapshot = await self.newer_snapshot(snapshot)
        raise UnknownVersion(reference.model_id, reference.version)

    async def newer_snapshot(self, snapshot: ModelSnapshot) -> ModelSnapshot:
        """
        Return a model's snapshot after one whose version was evicted.

        Raises:
            UnknownModel: the model was deleted.
            StorageFailure: the archive cannot be read.
        """
        newer = self._queries.registry.snapshot(snapshot.model_id)
        if newer is None or newer is snapshot:
            # The commit that evicted the version is not published yet.
            return await self._queries.fresh_snapshot(snapshot.model_id)
        return newer


async def send_from_memory(chunks: Iterator[Chunk], receiver: IReceiver, reservation: IReplyReservation) -> None:
    """
    Send chunks that need not be waited for.
    """
    with part("send from memory"):
        reservation.start_idle_timer()
        for chunk in chunks:
            await receiver.write(chunk.buffer)
            reservation.start_idle_timer()  # the last chunk may be on its way for as long as the client likes


async def send_as_read(
    download: IDownload, receiver: IReceiver, reservation: IReplyReservation, runtime: IRuntime
) -> None:
    """
    Send the chunks of a download.  The next chunks are read while one is sent.
    """
    with part("read and send"):
        reads = deque(download.read() for _ in range(_READ_AHEAD))
        while (chunk := await runtime.result(reads.popleft())) is not None:
            reads.append(download.read())
            reservation.start_idle_timer()
            await receiver.write(chunk.buffer)
            reservation.stop_idle_timer()
    reservation.start_idle_timer()  # the last chunk may be on its way for as long as the client likes
