"""
The call that sends a version's data.
"""

from collections import deque
from collections.abc import Iterator

from attrs import frozen

from twisted_registry.contracts.transfers import IDownload
from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.models import Chunk, VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.protocol.checksum import to_metadata
from twisted_registry.rpc.bridge import settled
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.outgoing import Outgoing, Share
from twisted_registry.rpc.wire import data_asked

_TRIES = 5

_READ_AHEAD = 2
_CHUNKS_ON_THEIR_WAY = _READ_AHEAD + 2
"""In memory at once, at most: one that gRPC has taken, one that it is to take, and those that are read meanwhile."""


@frozen
class DataCalls:
    """
    ``RetrieveVersionData``.
    """

    _lookup: Lookup
    _outgoing: Outgoing
    _chunk_bytes: int

    async def retrieve_version_data(self, raw: bytes, call: CallContext) -> None:
        """
        Send a version's data, the next chunk being read while one is sent.
        """
        download, info = await self._open(*data_asked(raw))
        try:
            most_bytes = min(info.size_bytes, _CHUNKS_ON_THEIR_WAY * self._chunk_bytes)
            share = await self._outgoing.share(call, most_bytes)
            chunks = download.at_once()
            if chunks is None:
                await self._send_as_read(download, share, call)
            else:
                await self._send(chunks, share, call)
            call.set_trailing_metadata(to_metadata(info.size_bytes, info.sha256, download.xxh3()))
        finally:
            download.close()

    async def _send(self, chunks: Iterator[Chunk], share: Share, call: CallContext) -> None:
        share.clients_turn()
        for chunk in chunks:
            await call.write(chunk.buffer)
            share.clients_turn()  # the last of it may be on its way for as long as the client likes

    async def _send_as_read(self, download: IDownload, share: Share, call: CallContext) -> None:
        readings = deque(download.read() for _ in range(_READ_AHEAD))
        while (chunk := await settled(readings.popleft())) is not None:
            readings.append(download.read())
            share.clients_turn()
            await call.write(chunk.buffer)
            share.servers_turn()
        share.clients_turn()  # as above

    async def _open(self, model_id: str, selector: int) -> tuple[IDownload, VersionInfo]:
        snapshot = await self._lookup.snapshot(model_id)
        for _ in range(_TRIES):
            info = await self._lookup.version(snapshot, snapshot.select(selector))
            try:
                return self._lookup.registry.download(snapshot, info), info
            except UnknownVersion:
                # It was evicted since the snapshot, by a newer one perhaps, which '-1' means by now.
                snapshot = await self._newer_snapshot(snapshot)
        raise UnknownVersion(model_id, selector)

    async def _newer_snapshot(self, snapshot: ModelSnapshot) -> ModelSnapshot:
        newer = self._lookup.registry.snapshot(snapshot.model_id)
        if newer is None or newer is snapshot:
            # The commit that evicted it is not published yet.
            return await self._lookup.fresh_snapshot(snapshot.model_id)
        return newer
