"""
What a server tells of a model, over as many calls as it takes.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs leave it out

from twisted_registry.client._transport.calls import Calls, cancel_call, decoded
from twisted_registry.client._transport.fork import forks
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.replies import bad_reply, check_size, version_info
from twisted_registry.client._transport.requests import sendable_model_id
from twisted_registry.client._transport.retries import is_retryable_forever, retry, retry_log
from twisted_registry.domain.errors import (
    CorruptVersion,
    ModelReplaced,
    RegistryError,
    Unavailable,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.models import VersionInfo
from twisted_registry.protocol.messages import api


class Subscription:
    """
    Listens to what a server tells of a model's versions.

    Attributes:
        latest: the latest version there is, as far as is known; ``None`` for none.
        changed: is set where there is something new to know.
        about: what it is, for the log.
        is_connected: whether the server tells of each new version now.
        connection_changed_ns: since when it does, or does not, in nanoseconds since the Unix epoch; ``None`` before it
            did for the first time.
    """

    def __init__(self, calls: Calls, model_id: str) -> None:
        self.latest: VersionInfo | None = None
        self.changed = asyncio.Event()
        self.about = (calls.connection.address, model_id)
        self.is_connected = False
        self.connection_changed_ns: int | None = None
        self._calls = calls
        self._queries = Queries(calls)
        self._model_id = model_id
        self._error: RegistryError | None = None
        self._call: Any = None
        self._has_told = False
        self._told: VersionInfo | None = None

    def check(self) -> None:
        """

        Raises:
            RegistryError: why nothing more will be told.
        """
        forks.check()
        if self._error is not None:
            raise self._error

    async def open(self) -> None:
        """
        Subscribe, and ask for the latest version: where there is none, a subscription tells nothing, and where the
        server was away, what is known may be there no longer.

        Raises:
            UnknownModel: there is no such model.
            ModelReplaced: it is another one now.
        """
        connection = self._calls.connection
        request = api.VersionUpdateRequest(model_id=sendable_model_id(self._model_id))
        metadata = (*connection.metadata, *connection.memory.about(self._model_id))
        self._call = connection.subscribe(request.SerializeToString(), metadata)
        self._has_told = False
        self._told = None
        try:
            self._note(await self._ask())
        except BaseException:
            self.close()
            raise
        self._note_connection(True)
        retry_log.succeeded(self.about)

    async def listen(self) -> None:
        """
        Listen, from where it was opened on, for as long as the model is there.
        """
        try:
            while True:
                info = await retry(self._read, None, is_retryable_forever, self.about)
                if self.latest is None or info.version_number > self.latest.version_number:
                    self._note(info)
        except RegistryError as error:
            self._error = error
        finally:
            self.close()
            self.changed.set()

    def close(self) -> None:
        """
        Want to be told no more.
        """
        call, self._call = self._call, None
        self._note_connection(False)
        cancel_call(call)

    def _note_connection(self, is_connected: bool) -> None:
        if self.is_connected != is_connected:
            self.is_connected, self.connection_changed_ns = is_connected, time.time_ns()

    async def _ask(self) -> VersionInfo | None:
        with suppress(UnknownVersion):
            try:
                return await self._queries.version(self._model_id, -1)
            except CorruptVersion:
                return self.latest  # of a damaged one the subscription tells what can be told
        return None

    def _note(self, info: VersionInfo | None) -> None:
        if _are_of_two_models(self.latest, info):
            raise ModelReplaced(self._model_id)
        self.latest = info
        if info is not None:
            self._calls.connection.memory.note(self._model_id, info.version_number)
        self.changed.set()

    async def _read(self) -> VersionInfo:
        try:
            return await self._next()
        except UnknownModel:
            if self._has_told:
                raise
            # The subscription may have come a moment before the model.  Where that is gone, opening says so.
            await self.open()
            return await self._next()

    async def _next(self) -> VersionInfo:
        if self._call is None:
            await self.open()
        connection = self._calls.connection
        try:
            with connection.guarded(self._model_id):
                raw = await self._call.read()
        except BaseException:
            self.close()
            raise
        if raw is EOF:
            self.close()
            raise Unavailable(f"the server at {connection.address} has ended the subscription")
        self._has_told = True
        check_size(raw, 1, self._model_id)
        info = version_info(decoded(api.VersionUpdateReply, raw).version_info, self._model_id)
        if _goes_back(self._told, info):
            raise bad_reply(f"its subscription told of version {info.version_number} again, or late", self._model_id)
        self._told = info
        return info


def _goes_back(before: VersionInfo | None, info: VersionInfo) -> bool:
    # The numbers of one subscription only rise; to tell of the same version twice harms nobody.
    return before is not None and info.version_number <= before.version_number and info != before


def _are_of_two_models(one: VersionInfo | None, other: VersionInfo | None) -> bool:
    # A model that is deleted and made again counts from 1 again, and the two are told apart where they meet.
    return (
        one is not None
        and other is not None
        and one.version_number == other.version_number
        and (one.created_ns, one.sha256) != (other.created_ns, other.sha256)
    )
