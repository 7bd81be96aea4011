"""
The client itself, for asyncio.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, overload
from weakref import WeakSet

from attrs import asdict, evolve

from twisted_registry.client._iterators import Items
from twisted_registry.client._tracking.tracker import Tracker, Version
from twisted_registry.client._transfer.download import Download, Progress
from twisted_registry.client._transfer.files import replaced_whole
from twisted_registry.client._transfer.sources import Data, source_of
from twisted_registry.client._transfer.threads import in_thread
from twisted_registry.client._transfer.upload import Upload
from twisted_registry.client._transport.about import About
from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
from twisted_registry.client._transport.calls import Calls, Times
from twisted_registry.client._transport.connection import Connection, Tls
from twisted_registry.client._transport.models import Models
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.requests import sendable_created_ns, sendable_metadata, sendable_model_id
from twisted_registry.client.errors import (
    DeadlineExceeded,
)
from twisted_registry.domain.errors import shown
from twisted_registry.domain.models import ModelInfo, VersionHeader, VersionInfo


def no_progress(size_bytes: int) -> None:
    """
    Nobody watches.
    """


class Client:
    """
    A client of a model registry, for asyncio.  It connects at its first call, and belongs to the event loop of that.

    Each method fails with the error of ``twisted_registry.domain.errors`` that the server raised.  What fails because
    the server is away for a moment is tried again, where doing it twice is as good as once.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: Tls | None = None,
        token: str | None = None,
        deadline_seconds: float = 30.0,
        retry_seconds: float = 30.0,
        idle_seconds: float = 60.0,
    ) -> None:
        """

        Args:
            address: ``HOST:PORT``; ``unix:PATH`` of a socket; or another target that gRPC knows, such as
                ``ipv4:10.0.0.1:9000,10.0.0.2:9000``.
            tls: for an encrypted connection; without, it is in the clear.
            token: sent with each call, as ``authorization: Bearer TOKEN``; at most 16 KiB.
            deadline_seconds: how long the answer may take to a call that brings no data.
            retry_seconds: how long something is tried again while the server is away, from the first failure on; 0
                for not at all, ``math.inf`` for as long as it takes.
            idle_seconds: how long nothing, or less than 64 KiB, may come of data that is being retrieved; and how long
                nothing of what is published may be taken, or no answer may come, a second more for each MiB.

        Raises:
            ValueError: the address is none; or a token cannot be sent, is too long, or would go over a network in the
                clear.
        """
        self._connection = Connection(address, tls, token)
        self._calls = Calls(self._connection, Times(deadline_seconds, retry_seconds, idle_seconds))
        self._queries = Queries(self._calls)
        self._models = Models(self._calls)
        self._about = About(self._calls)
        self._trackers: WeakSet[Tracker[Any]] = WeakSet()

    @property
    def address(self) -> str:
        """
        Where the registry is.
        """
        return self._connection.address

    def __reduce__(self) -> tuple[Any, ...]:
        """
        Return what makes a client with the same arguments: one that was pickled, or copied, connects anew at its first
        call.  It takes the token along, and the private key.
        """
        return partial(type(self), **self._options()), (self.address,)

    def _options(self) -> dict[str, Any]:
        connection = self._connection
        return {"tls": connection.tls, "token": connection.token, **asdict(self._calls.times)}

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Hang up.  Trackers come to their end, calls under way fail with ``ClientUnusable``.
        """
        for tracker in list(self._trackers):
            await tracker.aclose()
        await self._connection.close()

    # Models

    async def save_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> ModelInfo:
        """
        Make a model, or replace the user data of the one there is: whatever others have written there is gone.  See
        ``ensure_model`` and ``update_model``, which keep it.

        Args:
            model_id: 1 to 200 bytes of UTF-8 without control characters.
            metadata: at most 256 KiB; ``None`` for none.

        Returns:
            what it is now.

        Raises:
            InvalidModelId: the id is not allowed.
            InvalidRequest: there is too much user data, or it is no text.
        """
        return await self._models.save(model_id, metadata)

    async def ensure_model(self, model_id: str, metadata: Mapping[str, str] | None = None) -> ModelInfo:
        """
        Make a model if there is none.  One that is there keeps all its user data, and is given those pairs whose keys
        it does not have.  So a trainer can call this each time it starts.

        It reads, merges and writes: see ``update_model``.  Where nothing is missing, nothing is written.

        Args:
            metadata: ``None`` for none.

        Returns:
            what it is now.

        Raises:
            InvalidModelId: the id is not allowed.
            InvalidRequest: there is too much user data, or it is no text.
            CorruptModel: its metadata is damaged; ``save_model`` writes it anew.
        """
        return await self._models.ensure(model_id, metadata)

    async def update_model(
        self, model_id: str, metadata: Mapping[str, str] | None = None, *, remove: Iterable[str] = ()
    ) -> ModelInfo:
        """
        Set some of a model's user data, and remove some.  All other pairs stay.

        The server can only replace all user data at once, so this reads, merges and writes.  Within one client one such
        change is made after another.  Where clients change a model at the same time, each looks a tenth of a second
        afterwards, and makes its change again where another has overwritten it.

        Args:
            metadata: the pairs to set; ``None`` for none.
            remove: the keys to remove, whether or not they are there.

        Returns:
            what it is now.

        Raises:
            UnknownModel: there is none.
            InvalidRequest: there is too much user data, or it is no text.
            CorruptModel: its metadata is damaged; ``save_model`` writes it anew.
        """
        return await self._models.update(model_id, metadata, remove)

    async def delete_model(self, model_id: str) -> None:
        """
        Remove a model with all its versions, archived ones too.

        Where the connection is lost before the answer, this fails with ``Unavailable``: it is not done twice, for the
        model may have been made again meanwhile.

        Raises:
            UnknownModel: there is none.
        """
        await self._models.delete(model_id)

    async def model(self, model_id: str) -> ModelInfo:
        """
        Give a model's info.

        Raises:
            UnknownModel: there is none.
            CorruptModel: its metadata is damaged.
        """
        return await self._queries.model(model_id)

    def models(self) -> Items[ModelInfo]:
        """
        Give the infos of all models, ordered by id.  They are asked for in pages.
        """
        return Items(self._queries.models())

    # Versions

    async def publish(
        self,
        model_id: str,
        data: Data,
        metadata: Mapping[str, str] | None = None,
        *,
        size_bytes: int | None = None,
        created_ns: int | None = None,
        progress: Progress = no_progress,
        deadline_seconds: float | None = None,
    ) -> VersionInfo:
        """
        Create a transient version: it is held in memory, its users are told at once, and it may be evicted.

        The hash is computed while the data is sent, and compared with that of what was stored.  Where the connection is
        lost before the answer, the client finds out whether the version is there, and creates it again only where it is
        certainly not.

        Args:
            data: bytes in memory; the ``Path`` of a file; a file open for reading bytes, from where it stands; or
                pieces of bytes from an iterable.  It must not change meanwhile.
            metadata: at most 256 KiB.
            size_bytes: of data that comes from an iterable or a pipe.  Where it is not given, the data is gathered
                first: in memory up to 64 MiB, in a temporary file beyond.
            created_ns: when it was created, in nanoseconds since the Unix epoch; ``None`` for now, by this machine's
                clock.
            progress: told how many bytes more were sent; where they are sent anew after a lost connection, told first,
                as a number below 0, how many are taken back.
            deadline_seconds: for all of it; ``None`` for as long as it takes.

        Returns:
            the version's info, with its number.

        Raises:
            UnknownModel: there is no such model.
            ModelReplaced: the model was deleted meanwhile.
            InvalidRequest: there is too much user data, or it is no text; or a time or a size is out of range; or a
                file stands at its end, or an iterable was at its end before.
            DataChanged: a file was written to while it was sent.
            SizeMismatch: the data is not as long as ``size_bytes``.
            TooLarge: the server takes no versions of this size.
            Overloaded: the server has no room for it now, and had none for ``retry_seconds``.
            CreationUncertain: the connection was lost, and it cannot be found out what became of the version.
            CorruptTransfer: what was stored is not what was sent.
            DeadlineExceeded: it took too long; the version may be there or not.
            Unavailable: the server is away; the version is not there.
            TypeError: the data is nothing that can be published.
            OSError: a file cannot be read.
        """
        header = self._header(model_id, False, created_ns, metadata)
        return await self._create(header, data, size_bytes, progress, deadline_seconds)

    async def store(
        self,
        model_id: str,
        data: Data,
        metadata: Mapping[str, str] | None = None,
        *,
        size_bytes: int | None = None,
        created_ns: int | None = None,
        progress: Progress = no_progress,
        deadline_seconds: float | None = None,
    ) -> VersionInfo:
        """
        Create an archived version: it is on the server's disk before this fires, and is never evicted.

        Parameters, result and errors are those of ``publish``, and beside these:

        Raises:
            StorageFull: the server's disk is full; nothing was stored.
            StorageReadOnly: the server's archive takes no writes.
            StorageFailure: the server's disk failed.
        """
        header = self._header(model_id, True, created_ns, metadata)
        return await self._create(header, data, size_bytes, progress, deadline_seconds)

    async def latest(self, model_id: str) -> VersionInfo:
        """
        Give the info of a model's latest version.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: it has no version.
            CorruptVersion: its files are damaged.
        """
        return await self._queries.version(model_id, -1)

    async def version(self, model_id: str, selector: int) -> VersionInfo:
        """
        Give the info of a version.

        Args:
            selector: its number, or -n for the n-th to last of those there are.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: it has no such version.
            CorruptVersion: its files are damaged.
        """
        return await self._queries.version(model_id, selector)

    def versions(self, model_id: str, since: int = 1) -> Items[VersionInfo]:
        """
        Give the infos of a model's versions, ordered by number.  They are asked for in pages; damaged ones are passed
        over.

        Args:
            since: the first number.

        Raises:
            UnknownModel: there is no such model; raised where it is iterated over.
        """
        return Items(self._queries.versions(model_id, since))

    async def retrieve(
        self, model_id: str, version: int | VersionInfo = -1, *, progress: Progress = no_progress
    ) -> bytes:
        """
        Give a version's data.  Its size and its hash are checked.

        Args:
            version: its number; -n for the n-th to last; or its info, where it is known already: then the SHA-256 of
                the data is computed, and compared with that of the info, whatever the server says of it.
            progress: told how many bytes more came.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: it has no such version, or no longer: it was evicted.
            CorruptVersion: its files are damaged; ``CorruptTransfer`` where the data was damaged on its way.
            BadReply: the server told of another version.
            DeadlineExceeded: nothing came for ``idle_seconds``, or less than 64 KiB.
            Unavailable: the server is away, and was so for ``retry_seconds``.
        """
        download = await self._download(model_id, version, progress)
        return await download.whole()

    async def retrieve_file(
        self,
        model_id: str,
        path: "str | os.PathLike[str]",
        version: int | VersionInfo = -1,
        *,
        progress: Progress = no_progress,
    ) -> VersionInfo:
        """
        Write a version's data to a file, which gets its name once the hash has matched and the data is synced.  So
        whoever opens it finds one version or the other, whole.  A process that is killed meanwhile leaves nothing for
        good.

        Args:
            path: the file; one that is there already is replaced, and its mode and, where it can be, its owner are
                kept.

        Returns:
            the version's info.

        Raises:
            OSError: the file cannot be written, or cannot be replaced, such as a mount point; raised before the data is
                asked for.
            RegistryError: see ``retrieve``.
        """
        info = await self._info(model_id, version)
        async with (
            replaced_whole(Path(path), info.size_bytes) as file,
            aclosing(self._pieces(model_id, info, progress)) as pieces,
        ):
            async for piece in pieces:
                await in_thread(file.write, piece)
        return info

    def retrieve_chunks(
        self, model_id: str, version: int | VersionInfo = -1, *, progress: Progress = no_progress
    ) -> Items[memoryview]:
        """
        Give a version's data as it comes, in chunks of some megabytes.  The last one comes once size and hash have been
        checked: whoever has come to the end has right bytes.

        Raises:
            RegistryError: see ``retrieve``; raised where it is iterated over.
        """
        return Items(self._pieces(model_id, version, progress))

    # Following

    @overload
    def track(self, model_id: str, *, data: Literal[False] = False, wait: bool = False) -> Tracker[VersionInfo]: ...

    @overload
    def track(self, model_id: str, *, data: Literal[True], wait: bool = False) -> Tracker[Version]: ...

    @overload
    def track(self, model_id: str, *, data: bool, wait: bool = False) -> Tracker[Any]: ...

    def track(self, model_id: str, *, data: bool = False, wait: bool = False) -> Tracker[Any]:
        """
        Follow a model::

            async with client.track("walker", data=True) as tracker:
                async for version in tracker:
                    policy.load(version.data)

        It survives restarts of the server, and tries to reach it again for as long as it is away.

        Args:
            data: whether to give each version with its data, as a ``Version``, and not its info alone.
            wait: whether to wait, at the beginning, for a model that is not there yet and for a server that is away.
        """
        give = self._with_data if data else self._without_data
        tracker: Tracker[Any] = Tracker(self._calls, model_id, wait, give)
        self._trackers.add(tracker)
        return tracker

    # The server

    async def server_versions(self) -> dict[str, str]:
        """
        Give the versions of the server, and of what it runs on, by name.
        """
        return await self._about.versions()

    async def statuses(self, *names: str) -> dict[str, str]:
        """
        Give the server's statuses, such as ``overall_load`` and ``uptime_seconds``.

        Args:
            names: those wanted; ``"*"`` for all.
        """
        return await self._about.statuses(*names)

    async def is_serving(self) -> bool:
        """
        Say whether the server is up and has opened its archive, by its health service.
        """
        return await self._about.is_serving()

    # Steps on the way

    def _header(
        self, model_id: str, archived: bool, created_ns: int | None, metadata: Mapping[str, str] | None
    ) -> VersionHeader:
        created_ns = time.time_ns() if created_ns is None else sendable_created_ns(created_ns)
        return VersionHeader(sendable_model_id(model_id), archived, 0, "", created_ns, sendable_metadata(metadata))

    async def _create(
        self,
        header: VersionHeader,
        data: Data,
        size_bytes: int | None,
        progress: Progress,
        deadline_seconds: float | None,
    ) -> VersionInfo:
        limit = asyncio.timeout(deadline_seconds)
        try:
            async with limit, source_of(data, size_bytes) as source:
                header = evolve(header, size_bytes=source.size_bytes)
                return await Upload(self._calls, header, source, progress).create()
        except TimeoutError:
            if not limit.expired():
                raise  # it is the source's own
            raise DeadlineExceeded(
                f"no version of model {shown(header.model_id)} was created within {deadline_seconds:g} s, or its "
                "answer did not come in time: look at the latest versions before you create it again"
            ) from None

    async def _download(self, model_id: str, version: int | VersionInfo, progress: Progress) -> Download:
        if isinstance(version, int) and version > 0:
            return Download(self._calls, model_id, version, None, progress)
        # '-1' may mean another one in the middle of it all: it is asked once which one that is.
        info = await self._info(model_id, version)
        return Download(self._calls, model_id, info.version_number, info, progress, isinstance(version, VersionInfo))

    async def _pieces(
        self, model_id: str, version: int | VersionInfo, progress: Progress
    ) -> AsyncGenerator[memoryview, None]:
        download = await self._download(model_id, version, progress)
        async with aclosing(download.pieces()) as pieces:
            async for piece in pieces:
                yield piece

    async def _info(self, model_id: str, version: int | VersionInfo) -> VersionInfo:
        return version if isinstance(version, VersionInfo) else await self._queries.version(model_id, version)

    async def _with_data(self, info: VersionInfo) -> Version:
        # The info has come from the server that sends the data: no caller has brought its hash.
        return Version(info, await Download(self._calls, info.model_id, info.version_number, info, no_progress).whole())

    async def _without_data(self, info: VersionInfo) -> VersionInfo:
        return info
