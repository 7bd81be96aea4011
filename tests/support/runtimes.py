"""
Runtimes of use cases for tests: one of Deferreds alone, and one way to drive a use case in each event loop.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support.registry import PumpedRegistryCase
from twisted_registry.contracts.application import IEvent, IRuntime
from twisted_registry.rpc.bridge import AsyncioRuntime

T = TypeVar("T")


@implementer(IEvent)
class DeferredEvent:
    """
    An event that its waiter awaits as a Deferred.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: list[Deferred[None]] = []

    def set(self) -> None:
        """See ``IEvent.set``."""
        self._is_set = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def clear(self) -> None:
        """See ``IEvent.clear``."""
        self._is_set = False

    def wait(self) -> "Deferred[None]":
        """See ``IEvent.wait``."""
        if self._is_set:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter


@implementer(IRuntime)
class DeferredRuntime:
    """
    The runtime of use cases under Twisted, in the reactor's thread.

    Attributes:
        clock: calls functions later.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()

    def call(self, function: Callable[[], Deferred[T]], timeout_seconds: float | None = None) -> "Deferred[T]":
        """See ``IRuntime.call``."""
        result = maybeDeferred(function)
        if timeout_seconds is None:
            return result
        waiter: Deferred[T] = Deferred()
        self.clock.callLater(timeout_seconds, lambda: None if waiter.called else waiter.errback(TimeoutError()))
        result.addBoth(lambda outcome: None if waiter.called else waiter.callback(outcome))
        return waiter

    def start(self, function: Callable[[], Deferred[T]], when_done: Callable[[], None]) -> "Deferred[T]":
        """See ``IRuntime.start``."""

        def done(result: T) -> T:
            when_done()
            return result

        return maybeDeferred(function).addBoth(done)

    def result(self, future: Future[T]) -> "Deferred[T]":
        """See ``IRuntime.result``."""
        result: Deferred[None] = Deferred()
        future.add_done_callback(lambda _: result.callback(None))
        return result.addCallback(lambda _: future.result())

    def pause(self) -> "Deferred[None]":
        """See ``IRuntime.pause``."""
        return succeed(None)

    def run_soon(self, function: Callable[[], object]) -> None:
        """See ``IRuntime.run_soon``."""
        function()

    def call_later(self, delay_seconds: float, function: Callable[[], object]) -> None:
        """See ``IRuntime.call_later``."""
        self.clock.callLater(delay_seconds, function)

    def event(self) -> DeferredEvent:
        """See ``IRuntime.event``."""
        return DeferredEvent()


class UseCaseTestCase(PumpedRegistryCase):
    """
    A test case that runs use cases over a registry whose threads it pumps.
    """

    def drive(self, make: Callable[[IRuntime], Coroutine[Any, Any, T]]) -> T:
        """
        Run a use case to its end, and return its result.

        Args:
            make: returns the use case for a runtime.
        """
        raise NotImplementedError


class TwistedDriver(UseCaseTestCase):
    """
    A driver of use cases as coroutines of Twisted.
    """

    def drive(self, make: Callable[[IRuntime], Coroutine[Any, Any, T]]) -> T:
        """See ``UseCaseTestCase.drive``."""
        results: list[T | Failure] = []
        Deferred.fromCoroutine(make(DeferredRuntime())).addBoth(results.append)
        self.pump()
        (result,) = results
        if isinstance(result, Failure):
            result.raiseException()
        return result


class AsyncioDriver(UseCaseTestCase):
    """
    A driver of use cases as coroutines of asyncio.
    """

    def drive(self, make: Callable[[IRuntime], Coroutine[Any, Any, T]]) -> T:
        """See ``UseCaseTestCase.drive``."""

        async def run() -> T:
            task = asyncio.create_task(make(AsyncioRuntime(self.reactor, asyncio.get_running_loop())))
            while not task.done():
                self.pump()
                await asyncio.sleep(0)
            return task.result()

        return asyncio.run(run())
