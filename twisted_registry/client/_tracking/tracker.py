"""
Following a model.
"""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

from attrs import field, frozen

from twisted_registry.client._iterators import NotPicklable, StepRunner
from twisted_registry.client._tracking.subscription import Subscription
from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.fork import forks
from twisted_registry.client._transport.retries import is_retryable_forever, retry
from twisted_registry.client.errors import (
    CertificateRefused,
    ClientUnusable,
    CorruptVersion,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.models import VersionInfo

T = TypeVar("T")


@frozen
class Version:
    """
    A version with its data.
    """

    info: VersionInfo
    data: bytes = field(repr=False)


class Tracker(NotPicklable, Generic[T]):
    """
    Follows a model.  An asynchronous iterator, and an asynchronous context manager; made by
    ``Client.track``.

    Iterating gives each new version, beginning with the latest there is.  A reader that is slower than the trainer is
    given the newest one, not a backlog.  Numbers only rise, also where the server was away meanwhile and has lost what
    it held in memory.  A step that is cancelled loses nothing: the next one gives what it would have given.

    Where the model was deleted and made again while the server was out of reach, its numbers begin anew, and that may
    pass unnoticed: then nothing is given until they have passed the last one given.
    """

    def __init__(self, calls: Calls, model_id: str, wait: bool, give: Callable[[VersionInfo], Awaitable[T]]) -> None:
        self._subscription = Subscription(calls, model_id)
        self._wait = wait
        self._give = give
        self._given = 0
        self._steps = StepRunner()
        self._one_begins = asyncio.Lock()
        self._one_reads = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None

    def latest(self) -> VersionInfo | None:
        """
        Give the latest version, without asking the server: it tells of each new one by itself.  After a restart in
        which the server has lost versions, that is the latest of those it has.

        Returns:
            its info; ``None`` while the model has no version, and before ``start``; the last one known, once closed.

        Raises:
            UnknownModel: the model was deleted; ``ModelReplaced`` where it was made again meanwhile.
            ClientUnusable: the client was brought along by a fork.
        """
        self._subscription.check()
        return self._subscription.latest

    @property
    def is_connected(self) -> bool:
        """
        Whether the server tells of each new version now.  Where it is away, the tracker waits for it, and what
        ``latest`` knows may be old.  A server whose machine has died is noticed within half a minute.
        """
        return self._subscription.is_connected

    @property
    def connection_changed_ns(self) -> int | None:
        """
        Since when ``is_connected`` is what it is, in nanoseconds since the Unix epoch, by this machine's clock;
        ``None`` where it was never connected.
        """
        return self._subscription.connection_changed_ns

    async def start(self) -> None:
        """
        Begin, where it has not begun yet: ``latest`` knows the latest version then.

        Raises:
            UnknownModel: there is none; not where it is to be waited for.
            Unavailable: the server cannot be reached; not where it is to be waited for.
            ClientUnusable: it was closed.
        """
        forks.check()
        try:
            await self._steps.take(self._begun())
        except StopAsyncIteration:
            raise ClientUnusable("this tracker is closed; make another one") from None

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
        if forks.is_cut_off:
            return  # its loop and its thread are the parent's
        await self._steps.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def __aiter__(self) -> "Tracker[T]":
        return self

    async def __anext__(self) -> T:
        """
        Wait for a version newer than the one given before.

        Raises:
            UnknownModel: the model was deleted; ``ModelReplaced`` where it was made again meanwhile.
            CorruptVersion: its data is damaged.  The next call waits for a newer version.
            ClientUnusable: the client was brought along by a fork.
        """
        forks.check()
        async with self._one_reads:
            self._given, item = await self._steps.take(self._newest())
            return item

    async def _begun(self) -> None:
        async with self._one_begins:
            if self._listening is None:
                about = self._subscription.about
                await retry(self._subscription.open, None, self._is_waited_for, about)
                self._listening = asyncio.create_task(self._subscription.listen())
                # The task does not hold the tracker, so that one nobody holds any more ends.
                end = weakref.finalize(self, _forgotten, asyncio.get_running_loop(), self._listening)
                end.atexit = False

    def _is_waited_for(self, error: BaseException) -> bool:
        is_passing = is_retryable_forever(error) and not isinstance(error, CertificateRefused)
        return self._wait and (isinstance(error, UnknownModel) or is_passing)

    async def _newest(self) -> tuple[int, T]:
        """
        Wait for a version to give; give its number too.
        """
        await self._begun()
        while True:
            info = await self._newer()
            try:
                # As patiently as the subscription: an actor does not end where the server is away for long.
                about = self._subscription.about
                return info.version_number, await retry(partial(self._give, info), None, is_retryable_forever, about)
            except UnknownVersion:
                # It was evicted meanwhile, so there is a newer one, or soon will be.
                self._given = info.version_number
            except CorruptVersion:
                self._given = info.version_number
                raise

    async def _newer(self) -> VersionInfo:
        told = self._subscription
        while told.latest is None or told.latest.version_number <= self._given:
            told.check()
            told.changed.clear()
            await told.changed.wait()
        return told.latest


def _forgotten(loop: asyncio.AbstractEventLoop, listening: "asyncio.Task[None]") -> None:
    if not loop.is_closed() and not forks.is_cut_off:
        loop.call_soon_threadsafe(listening.cancel)
