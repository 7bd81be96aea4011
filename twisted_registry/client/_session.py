"""
The connected side of a client.  This module loads gRPC and protobuf; ``Client`` imports it at its first call.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from weakref import WeakSet

from attrs import evolve

from twisted_registry.client._iterators import Items
from twisted_registry.client._tracking.alias_subscription import AliasSubscription
from twisted_registry.client._tracking.base import SubscriptionBase
from twisted_registry.client._tracking.event_stream import events
from twisted_registry.client._tracking.subscription import Subscription
from twisted_registry.client._tracking.tracker import Tracker
from twisted_registry.client._transfer.download import Download
from twisted_registry.client._transfer.files import replaced_whole
from twisted_registry.client._transfer.new_version import NewVersion
from twisted_registry.client._transfer.resumption import write_to
from twisted_registry.client._transfer.sources import Source, source_of
from twisted_registry.client._transfer.upload import RESUMABLE_BYTES, Upload, hash_of_source
from twisted_registry.client._transport.aliases import Aliases
from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.connection import Connection
from twisted_registry.client._transport.creations import creation_of
from twisted_registry.client._transport.model_records import ModelRecords
from twisted_registry.client._transport.models import Models
from twisted_registry.client._transport.options import Options
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.requests import selected, sendable_model_id
from twisted_registry.client._transport.retention import RetentionCalls
from twisted_registry.client._transport.server_calls import MetricCalls, ServerCalls
from twisted_registry.client._transport.tracing import traces
from twisted_registry.client._transport.uploads import upload_state
from twisted_registry.client._transport.versions import Versions
from twisted_registry.client._types import AnyReference, Event, Progress, UploadState, Version, no_progress
from twisted_registry.client.errors import DeadlineExceeded, InvalidRequest
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails
from twisted_registry.domain.errors import shown
from twisted_registry.domain.idempotency import check_idempotency_key
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import LATEST, Reference


class Session:
    """
    The connection of a client, and the calls over it.

    Attributes:
        queries: calls that read.
        models: calls that change models.
        model_records: calls of ``twisted_registry.v1`` about models.
        versions: calls about single versions, by reference.
        aliases: calls about aliases.
        retention: calls about retention.
        metrics: calls about the metrics of versions.
        server: calls about the server and those who use it.
    """

    def __init__(self, options: Options, is_closed: bool) -> None:
        self._connection = Connection(options, is_closed=is_closed)
        self._calls = Calls(self._connection, options)
        self.queries = Queries(self._calls)
        api = RegistryApi(self._calls)
        self.model_records = ModelRecords(api)
        self.models = Models(self._calls, self.model_records)
        self.versions = Versions(api)
        self.aliases = Aliases(api)
        self.retention = RetentionCalls(api)
        self.metrics = MetricCalls(api)
        self.server = ServerCalls(api)
        self._trackers: WeakSet[Tracker[Any]] = WeakSet()

    async def close(self) -> None:
        """
        Close the trackers and the connection.
        """
        for tracker in list(self._trackers):
            await tracker.aclose()
        await self._connection.close()

    async def create(self, new: NewVersion) -> VersionInfo:
        """
        Create a version; see ``Client.publish``.
        """
        name = "store version" if new.archived else "publish version"
        with traces.span(name, new.model_id, self._connection.address) as span:
            info = await self._create(new)
            span.note(info)
            return info

    async def _create(self, new: NewVersion) -> VersionInfo:
        header, details, key = new.header(), new.details(), new.key()
        limit = asyncio.timeout(new.deadline_seconds)
        try:
            async with limit, source_of(new.data, new.size_bytes) as source:
                header = evolve(header, size_bytes=source.size_bytes)
                if key is not None and source.repeatable:
                    # The server refuses to complete what it has received of other data.
                    header = evolve(header, sha256=await hash_of_source(source))
                upload = Upload(self._calls, header, source, new.report, details, self._uses_v1(new, source, details))
                if key is not None:
                    upload.use_key(key)
                return await upload.create()
        except TimeoutError:
            if not limit.expired():
                raise  # the source raised it
            raise DeadlineExceeded(
                f"no version of model {shown(new.model_id)} was created within {new.deadline_seconds:g} s, or the "
                "answer did not arrive in time: look at the latest versions before you create it again"
            ) from None

    async def upload_state(self, model_id: str, key: str) -> UploadState:
        """
        Return how far a creation is; see ``Client.upload_state``.
        """
        api = RegistryApi(self._calls)
        return await upload_state(api, sendable_model_id(model_id), check_idempotency_key(key))

    def _uses_v1(self, new: NewVersion, source: Source, details: CreationDetails) -> bool:
        if details != NO_DETAILS:
            return True
        if new.created_ns is not None or self._connection.lacks_resumable_uploads:
            return False  # only Cogment's service takes a time of creation
        return new.idempotency_key is not None or (source.repeatable and source.size_bytes >= RESUMABLE_BYTES)

    async def download(
        self, model: AnyReference, version: int | VersionInfo | VersionRecord | None, progress: Progress | None
    ) -> Download:
        """
        Return the download of a version; see ``Client.retrieve``.
        """
        progress = progress or no_progress
        reference, known = selected(model, version)
        if known is None and (reference.selector or 0) > 0:
            return Download(self._calls, reference.model_id, reference.version, None, progress)
        # Other references may name another version later, so they are resolved once.
        info = known or await self._info(reference)
        return Download(self._calls, reference.model_id, info.version_number, info, progress, known is not None)

    async def retrieve(
        self, model: AnyReference, version: int | VersionInfo | VersionRecord | None, progress: Progress | None
    ) -> bytes:
        """
        Return a version's data; see ``Client.retrieve``.
        """
        with traces.span("retrieve version", selected(model, version)[0].model_id, self._connection.address) as span:
            download = await self.download(model, version, progress)
            data = await download.whole()
            span.note(download.info)
            return data

    def chunks(
        self, model: AnyReference, version: int | VersionInfo | VersionRecord | None, progress: Progress | None
    ) -> Items[memoryview]:
        """
        Return the chunks of a version; see ``Client.retrieve_chunks``.
        """
        return Items(self._chunks(model, version, progress))

    async def _chunks(
        self, model: AnyReference, version: int | VersionInfo | VersionRecord | None, progress: Progress | None
    ) -> AsyncGenerator[memoryview, None]:
        download = await self.download(model, version, progress)
        async with aclosing(download.pieces()) as pieces:
            async for piece in pieces:
                yield piece

    async def retrieve_file(
        self,
        model: AnyReference,
        path: "str | os.PathLike[str]",
        version: int | VersionInfo | VersionRecord | None,
        progress: Progress | None,
    ) -> VersionInfo:
        """
        Write a version's data to a file; see ``Client.retrieve_file``.
        """
        reference, known = selected(model, version)
        with traces.span("retrieve version", reference.model_id, self._connection.address) as span:
            info = known or await self._info(reference)
            async with replaced_whole(Path(path), info.size_bytes, info.sha256) as file:
                await write_to(file, await self.download(reference.model_id, info, progress))
            span.note(info)
            return info

    def track(self, followed: str, data: bool, wait: bool) -> Tracker[Any]:
        """
        Return a tracker of a model or an alias; see ``Client.track``.
        """
        load = self._with_data if data else self._without_data
        tracker: Tracker[Any] = Tracker(_subscription(self._calls, followed), wait, load)
        self._trackers.add(tracker)
        return tracker

    def events(self, model_id: str, prefix: str, kinds: Iterable[str], cursor: str) -> Items[Event]:
        """
        Return the events of the registry; see ``Client.events``.
        """
        return Items(events(self._calls, model_id, prefix, kinds, cursor))

    async def _info(self, reference: Reference) -> VersionInfo:
        if reference.alias is not None:
            return (await self.versions.get(reference)).info
        return await self.queries.version(reference.model_id, reference.version)

    async def _with_data(self, info: VersionInfo) -> Version:
        # The actor goes on with the trace of the version, unless it has a span already.
        parent = await creation_of(self._calls, info) if traces.begins_here else ""
        with traces.span("fetch version", info.model_id, self._connection.address, parent) as span:
            span.note(info)
            # Not pinned: the info came from the server that sends the data.
            download = Download(self._calls, info.model_id, info.version_number, info, no_progress)
            return Version(info, await download.whole())

    async def _without_data(self, info: VersionInfo) -> VersionInfo:
        return info


def _subscription(calls: Calls, followed: str) -> SubscriptionBase:
    """
    Return the subscription to a model or an alias.

    Raises:
        InvalidRequest: the text names a single version.
    """
    if "@" not in followed and "%" not in followed:
        return Subscription(calls, followed)  # other servers have ids that no reference may have
    reference = Reference.parse(followed)
    if reference.alias is not None:
        return AliasSubscription(calls, reference.model_id, reference.alias)
    if reference.version != LATEST:
        raise InvalidRequest(
            f"{shown(followed)} names a single version; follow a model, or an alias such as 'walker@production'"
        )
    return Subscription(calls, reference.model_id)
