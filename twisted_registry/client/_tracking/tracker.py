"""
The tracker of a model.
"""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Generic, TypeVar

from twisted_registry.client._iterators import NotPicklable, StepRunner
from twisted_registry.client._tracking.base import SubscriptionBase
from twisted_registry.client._transport.forks import fork_guard
from twisted_registry.client._transport.retries import is_retryable_forever, retry
from twisted_registry.client.errors import (
    CertificateRefused,
    ClientUnusable,
    CorruptVersion,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.models import VersionInfo

T = TypeVar("T")


class Tracker(NotPicklable, Generic[T]):
    """
    A tracker of a model or an alias: an asynchronous iterator and context manager, made by ``Client.track``.

    Iterating yields each new version, beginning with the latest one.  A reader that is slower than the trainer gets the
    newest version, not a backlog.  Numbers only rise, even if the server was away and lost its transient versions.  A
    cancelled step loses nothing: the next step yields what the cancelled one would have yielded.

    A tracker of an alias yields the version that the alias names, and then the one that each move leads to, whose
    number may be lower.

    If the model was deleted and created again while the server was unreachable, its numbers start over, and the tracker
    may not notice: then it yields nothing until they exceed the last number that it yielded.
    """

    def __init__(self, subscription: SubscriptionBase, wait: bool, load: Callable[[VersionInfo], Awaitable[T]]) -> None:
        self._subscription = subscription
        self._wait = wait
        self._load = load
        self._position = 0
        self._steps = StepRunner()
        self._starting = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None

    def latest(self) -> VersionInfo | None:
        """
        Return the latest version, or the one that the alias names, without asking the server, which announces each new
        one.  After a restart in which the server lost versions, this is the latest of the remaining ones.

        Returns:
            The version's info; ``None`` while the model has no version, and before the tracker has started; after the
            tracker was closed, the last one known.

        Raises:
            UnknownModel: the model was deleted.
            UnknownAlias: the alias was deleted.
            ModelReplaced: the model was deleted and created again.
            ClientUnusable: the client was inherited by a fork.
        """
        self._subscription.check()
        return self._subscription.latest

    @property
    def is_connected(self) -> bool:
        """
        Return whether the server currently announces new versions.  If it is away, the tracker waits for it, and
        ``latest`` may be out of date.  The tracker notices within 30 seconds that a server's machine has died.
        """
        return self._subscription.is_connected

    @property
    def connection_changed_ns(self) -> int | None:
        """
        Return the time of the last change of ``is_connected``, in nanoseconds since the Unix epoch, by this machine's
        clock; ``None`` if the tracker was never connected.
        """
        return self._subscription.connection_changed_ns

    async def start(self) -> None:
        """
        Start, if not started yet; afterwards ``latest`` returns the latest version.

        Raises:
            UnknownModel: there is no such model, and the tracker does not wait for it.
            UnknownAlias: there is no such alias, and the tracker does not wait for it.
            Unavailable: the server is away, and the tracker does not wait for it.
            ClientUnusable: the tracker is closed.
        """
        fork_guard.check()
        try:
            await self._steps.run(self._start())
        except StopAsyncIteration:
            raise ClientUnusable("this tracker is closed; create another one") from None

    async def __aenter__(self) -> "Tracker[T]":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """
        Close the tracker.  A step that is waiting for a version ends the iteration.
        """
        if fork_guard.is_cut_off:
            return  # its loop and its thread are the parent's
        await self._steps.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def __aiter__(self) -> "Tracker[T]":
        return self

    async def __anext__(self) -> T:
        """
        Wait for another version than the last one yielded: a newer one, or the one that the alias has moved to.

        Raises:
            UnknownModel: the model was deleted.
            UnknownAlias: the alias was deleted.
            ModelReplaced: the model was deleted and created again.
            CorruptVersion: the version's data is damaged.  The next step waits for a newer version.
            ClientUnusable: the client was inherited by a fork.
        """
        fork_guard.check()
        async with self._reading:
            self._position, item = await self._steps.run(self._load_newest())
            return item

    async def _start(self) -> None:
        async with self._starting:
            if self._listening is None:
                subject = self._subscription.subject
                await retry(self._subscription.open, None, self._is_worth_waiting, subject)
                self._listening = asyncio.create_task(self._subscription.listen())
                # The task does not refer to the tracker, so it ends when the last reference to the tracker is gone.
                end = weakref.finalize(self, _cancel, asyncio.get_running_loop(), self._listening)
                end.atexit = False

    def _is_worth_waiting(self, error: BaseException) -> bool:
        is_temporary = is_retryable_forever(error) and not isinstance(error, CertificateRefused)
        return self._wait and (isinstance(error, UnknownModel | UnknownAlias) or is_temporary)

    async def _load_newest(self) -> tuple[int, T]:
        """
        Wait for the next version to yield, and return its position too.
        """
        await self._start()
        subscription = self._subscription
        while True:
            await self._wait_for_next()
            position, info = subscription.position, subscription.latest
            try:
                if subscription.damage is not None:
                    raise subscription.damage
                # There is no time limit, as for the subscription: an actor survives a long absence of the server.
                if info is not None:
                    return position, await retry(
                        partial(self._load, info), None, is_retryable_forever, subscription.subject
                    )
            except UnknownVersion:
                pass  # evicted or deleted meanwhile: there is a newer version, or soon will be
            except CorruptVersion:
                self._position = position
                raise
            self._position = position

    async def _wait_for_next(self) -> None:
        subscription = self._subscription
        while subscription.position <= self._position:
            subscription.check()
            subscription.changed.clear()
            await subscription.changed.wait()


def _cancel(loop: asyncio.AbstractEventLoop, listening: "asyncio.Task[None]") -> None:
    if not loop.is_closed() and not fork_guard.is_cut_off:
        loop.call_soon_threadsafe(listening.cancel)
