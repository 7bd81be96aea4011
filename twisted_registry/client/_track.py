"""
Following a model: a subscription that outlives its connections.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

from attrs import define, field, frozen
from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs leave it out

from twisted_registry.client._calls import Calls, decoded
from twisted_registry.client._errors import translated
from twisted_registry.client._lists import Lists
from twisted_registry.client._retries import passes, repeated
from twisted_registry.client._values import version_info
from twisted_registry.errors import CorruptVersion, Unavailable, UnknownModel, UnknownVersion
from twisted_registry.protocol.messages import api
from twisted_registry.values import VersionInfo

T = TypeVar("T")


@frozen
class Version:
    """
    A version with its data.
    """

    info: VersionInfo
    data: bytes = field(repr=False)


@define
class _Subscription:
    """
    What a server tells of a model's versions, over as many calls as it takes.
    """

    _calls: Calls
    _model_id: str
    _call: Any = None

    async def read(self) -> VersionInfo:
        """
        Wait for the next version that is told of.

        @raise UnknownModel: the model was deleted.
        """
        return await repeated(self._read, None)

    def close(self) -> None:
        """
        Want no more.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    async def _read(self) -> VersionInfo:
        connection = self._calls.connection
        try:
            with translated(connection.address, self._model_id):
                if self._call is None:
                    request = api.VersionUpdateRequest(model_id=self._model_id)
                    method = connection.method("VersionUpdate")
                    self._call = method(request.SerializeToString(), metadata=connection.metadata)
                raw = await self._call.read()
        except BaseException:
            self.close()
            raise
        if raw is EOF:
            self.close()
            raise Unavailable(f"the server at {connection.address} has ended the subscription")
        return version_info(decoded(api.VersionUpdateReply, raw).version_info)


class Tracker(Generic[T]):
    """
    Follows a model.  An asynchronous iterator, and an asynchronous context manager; made by
    L{twisted_registry.client.Client.track}.

    Iterating gives each new version, beginning with the latest there is.  A reader that is slower than the trainer is
    given the newest one, not a backlog.  Numbers only rise, also where the server was away meanwhile and has lost what
    it held in memory.
    """

    def __init__(self, calls: Calls, model_id: str, wait: bool, give: Callable[[VersionInfo], Awaitable[T]]) -> None:
        self._lists = Lists(calls)
        self._subscription = _Subscription(calls, model_id)
        self._model_id = model_id
        self._wait = wait
        self._give = give
        self._latest: VersionInfo | None = None
        self._given = 0
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    def latest(self) -> VersionInfo | None:
        """
        Give the latest version, without asking the server: it tells of each new one by itself.

        @return: its info; C{None} while the model has no version.

        @raise UnknownModel: the model was deleted.
        """
        self._check_listening()
        return self._latest

    async def start(self) -> None:
        """
        Begin, where it has not begun yet: L{latest} knows the latest version then.

        @raise UnknownModel: there is none; not where it is to be waited for.
        @raise Unavailable: the server cannot be reached; not where it is to be waited for.
        """
        if self._listening is None:
            await repeated(self._begin, None, self._is_waited_for)
        if self._listening is None:  # two may have begun at once
            self._listening = asyncio.create_task(self._listen())
            self._listening.add_done_callback(self._ended)

    async def __aenter__(self) -> "Tracker[T]":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """
        Follow it no longer.  Whoever is iterating comes to the end.
        """
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def __aiter__(self) -> "Tracker[T]":
        return self

    async def __anext__(self) -> T:
        """
        Wait for a version newer than the one given before.

        @raise UnknownModel: the model was deleted.
        @raise CorruptVersion: its data is damaged.  The next call waits for a newer version.
        """
        await self.start()
        while True:
            info = await self._newer()
            self._given = info.version_number
            try:
                # As patiently as the subscription: an actor does not end where the server is away for long.
                return await repeated(partial(self._give, info), None)
            except UnknownVersion:
                continue  # it was evicted meanwhile, so there is a newer one, or soon will be

    async def _newer(self) -> VersionInfo:
        while self._latest is None or self._latest.version_number <= self._given:
            self._check_listening()
            if self._listening is None or self._listening.done():
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._latest

    def _check_listening(self) -> None:
        listening = self._listening
        if listening is not None and listening.done() and not listening.cancelled():
            listening.result()

    def _is_waited_for(self, error: BaseException) -> bool:
        return self._wait and (isinstance(error, UnknownModel) or passes(error))

    async def _begin(self) -> None:
        # Of a damaged one the subscription tells what can be told.
        with suppress(UnknownVersion, CorruptVersion):
            self._latest = await self._lists.version(self._model_id, -1)

    async def _listen(self) -> None:
        try:
            while True:
                info = await self._subscription.read()
                if self._latest is None or info.version_number > self._latest.version_number:
                    self._latest = info
                    self._changed.set()
        finally:
            self._subscription.close()

    def _ended(self, listening: asyncio.Task[None]) -> None:
        if not listening.cancelled():
            listening.exception()  # whoever iterates is told
        self._changed.set()
