"""
The asyncio event loop as the runtime of the use cases, and the way from its thread to the reactor's and back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_registry.contracts.application import IEvent, IRuntime
from twisted_registry.rpc.call import COMMITTING_CALL

T = TypeVar("T")


@implementer(IEvent)
class _Event(asyncio.Event):
    """
    An asyncio event.
    """


@implementer(IRuntime)
class AsyncioRuntime:
    """
    The runtime of the use cases in an asyncio event loop.
    """

    def __init__(self, reactor: IReactorFromThreads, loop: asyncio.AbstractEventLoop) -> None:
        self._reactor = reactor
        self._loop = loop
        # An event loop keeps only weak references to its tasks, and these must outlive the calls that started them.
        self._started: set[asyncio.Task[Any]] = set()

    async def call(self, function: Callable[[], Deferred[T]], timeout_seconds: float | None = None) -> T:
        """See ``IRuntime.call``."""
        # An error in a future holds, by its traceback, the frame that awaits it.  If that frame held the future too,
        # the request of the call would stay in memory until the garbage collector runs.
        waiters: list[asyncio.Future[T]] = [self._loop.create_future()]

        # The annotations are quoted, because otherwise each call would evaluate them.
        def settle(result: "T | Failure") -> None:
            if not waiters or waiters[0].done():
                return
            if isinstance(result, Failure):
                waiters[0].set_exception(cast(BaseException, result.value))
            else:
                waiters[0].set_result(result)

        def deliver(result: "T | Failure") -> None:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                self._loop.call_soon_threadsafe(settle, result)

        self._reactor.callFromThread(lambda: maybeDeferred(function).addBoth(deliver))
        try:
            if timeout_seconds is None:
                return await waiters[0]
            return await asyncio.wait_for(waiters[0], timeout_seconds)
        finally:
            waiters.clear()

    def start(self, function: Callable[[], Deferred[T]], when_done: Callable[[], None]) -> Awaitable[T]:
        """See ``IRuntime.start``."""
        task = self._loop.create_task(self.call(function))
        self._started.add(task)
        call = COMMITTING_CALL.get()
        if call is not None:
            call.work = task

        def done(task: "asyncio.Task[T]") -> None:
            self._started.discard(task)
            when_done()

        task.add_done_callback(done)
        return asyncio.shield(task)

    async def result(self, future: Future[T]) -> T:
        """See ``IRuntime.result``."""
        if future.done():
            return future.result()
        return await asyncio.wrap_future(future)

    def pause(self) -> Awaitable[None]:
        """See ``IRuntime.pause``."""
        return asyncio.sleep(0)

    def run_soon(self, function: Callable[[], object]) -> None:
        """See ``IRuntime.run_soon``."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function)

    def call_later(self, delay_seconds: float, function: Callable[[], object]) -> None:
        """See ``IRuntime.call_later``."""
        self._loop.call_later(delay_seconds, function)

    def event(self) -> IEvent:
        """See ``IRuntime.event``."""
        return _Event()
