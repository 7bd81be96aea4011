"""
A version goes out.

The API has no way to say "this one again", so a creation is not simply repeated.  But it can be told apart: the client
sends the time of creation, to the nanosecond, and nobody else creates the same bytes in the same nanosecond.  So where
the connection breaks before the answer, the client looks whether the version is there.  Where it is not, it is created
again only if the server that got it is certainly gone, or has certainly not got all of it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc.aio
from attrs import define, field

from twisted_registry.client._about import About
from twisted_registry.client._calls import Calls, decoded
from twisted_registry.client._ending import Ending
from twisted_registry.client._errors import translated
from twisted_registry.client._hashing import Hashing
from twisted_registry.client._lists import Lists
from twisted_registry.client._retries import passes, repeated, was_not_done
from twisted_registry.client._sources import Buffer, Source
from twisted_registry.client._values import version_info
from twisted_registry.errors import CorruptTransfer, CorruptVersion, CreationUncertain, Unavailable, UnknownVersion
from twisted_registry.protocol.framing import BODY_TAG, DATA_TAG, field_header
from twisted_registry.protocol.messages import api
from twisted_registry.values import VersionHeader, VersionInfo

_MOST_LOOKED_AT = 1000
"""Versions that others may have created since: a trainer makes one every few seconds."""

Progress = Callable[[int], None]
"""Is told how many bytes more have been transferred."""


def _body(piece: Buffer) -> bytes:
    data_header = field_header(DATA_TAG, len(piece))
    body_header = field_header(BODY_TAG, len(data_header) + len(piece))
    return b"".join((body_header, data_header, piece))


def _first_message(header: VersionHeader) -> bytes:
    info = api.ModelVersionInfo(
        model_id=header.model_id,
        creation_timestamp=header.created_ns,
        archived=header.archived,
        data_size=header.size_bytes,
        data_hash=header.data_hash,
        user_data=header.user_data,
    )
    message = api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header(version_info=info))
    return message.SerializeToString()


@define
class _Attempt:
    """
    One try to send a version.

    @ivar connected: when a server had begun to get it, by the monotonic clock in seconds.
    @ivar has_begun: whether data was taken from the source.
    @ivar is_complete: whether a server may have got all of it.
    """

    hashing: Hashing = field(factory=Hashing)
    connected: float = 0.0
    has_begun: bool = False
    is_complete: bool = False


class _StillOpen(Exception):
    """
    The version is not there, but may yet come.
    """


@define
class Upload:
    """
    Creates a version.
    """

    _calls: Calls
    _header: VersionHeader
    _source: Source
    _progress: Progress
    _attempt: _Attempt = field(factory=_Attempt)

    async def create(self) -> VersionInfo:
        """
        Send it until it is there.

        @raise RegistryError: see L{twisted_registry.client.Client.publish}.
        """
        return await repeated(self._try, self._calls.times.patience_seconds, self._is_worth_it)

    def _is_worth_it(self, error: BaseException) -> bool:
        return passes(error) and (self._source.repeatable or not self._attempt.has_begun)

    async def _try(self) -> VersionInfo:
        self._attempt = _Attempt()
        try:
            return await self._send()
        except Unavailable as lost:
            if self._attempt.is_complete and not was_not_done(lost):
                info = await self._outcome(str(lost))
                if info is not None:
                    return info
            raise

    async def _send(self) -> VersionInfo:
        connection = self._calls.connection
        call = connection.method("CreateVersion")(metadata=connection.metadata)
        ending = Ending(call)
        try:
            with translated(connection.address, self._header.model_id):
                try:
                    await self._write(call)
                    raw: bytes = await call
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    raise await ending.error() from None
        finally:
            call.cancel()
        return await self._checked(version_info(decoded(api.CreateVersionReply, raw).version_info))

    async def _write(self, call: Any) -> None:
        attempt = self._attempt
        attempt.is_complete = self._source.size_bytes == 0
        await call.write(_first_message(self._header))
        attempt.connected = time.monotonic()
        async for piece in self._source.pieces():
            attempt.has_begun = True
            await attempt.hashing.add(piece)
            attempt.is_complete = attempt.hashing.size_bytes >= self._source.size_bytes
            await call.write(_body(piece))
            self._progress(len(piece))
        await call.done_writing()

    async def _checked(self, info: VersionInfo) -> VersionInfo:
        computed = await self._attempt.hashing.result()
        if info.data_hash != computed:
            reason = f"what was sent has the hash {computed}, what was stored {info.data_hash}"
            raise CorruptTransfer(info.model_id, info.version_number, reason)
        return info

    # Where the answer was lost

    async def _outcome(self, lost: str) -> VersionInfo | None:
        """
        Find out what became of the attempt.

        @return: the version, or C{None} where it is certain that there is none.

        @raise CreationUncertain: it cannot be found out.
        """
        try:
            return await repeated(self._look, self._calls.times.patience_seconds, self._may_yet_be_told)
        except (_StillOpen, Unavailable):
            raise CreationUncertain(self._header.model_id, lost) from None

    @staticmethod
    def _may_yet_be_told(error: BaseException) -> bool:
        return passes(error) or isinstance(error, _StillOpen)

    async def _look(self) -> VersionInfo | None:
        # In this order: what a server has not that began after the attempt will not come any more.
        is_other_server = await self._is_other_server()
        info = await self._find()
        if info is None and not is_other_server:
            raise _StillOpen
        return info

    async def _is_other_server(self) -> bool:
        asked = time.monotonic()
        uptime_seconds = (await About(self._calls).statuses("uptime_seconds")).get("uptime_seconds")
        return uptime_seconds is not None and asked - float(uptime_seconds) > self._attempt.connected

    async def _find(self) -> VersionInfo | None:
        lists = Lists(self._calls)
        try:
            newest = (await lists.version(self._header.model_id, -1)).version_number
        except UnknownVersion:
            return None
        except CorruptVersion as damaged:
            newest = damaged.version_number
        data_hash = await self._attempt.hashing.result()
        async for info in lists.versions(self._header.model_id, max(1, newest - _MOST_LOOKED_AT + 1)):
            if (info.created_ns, info.data_hash) == (self._header.created_ns, data_hash):
                return info
        return None
