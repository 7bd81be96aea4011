"""
The three styles of the client library, each called in the same blocking way.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from queue import Queue
from typing import Any, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support.daemon import TIMEOUT_SECONDS, wait_until
from twisted_registry.client import BlockingClient, Client, DeferredClient, VersionInfo


@frozen
class Followed:
    """
    A tracker, in the same blocking way.

    Attributes:
        next: waits for the next item; raises ``StopAsyncIteration`` at the end.
    """

    start: Callable[[], object]
    next: Callable[[], Any]
    latest: Callable[[], VersionInfo | None]
    connection: Callable[[], tuple[bool, int | None]]
    close: Callable[[], object]


class Style(Protocol):
    """
    A client in one style.
    """

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """
        Call a method, and give its result.
        """

    def iterate(self, name: str, *arguments: Any, **keywords: Any) -> Iterator[Any]:
        """
        Call a method that gives an iterator, and give the items.
        """

    def track(self, *arguments: Any, **keywords: Any) -> Followed:
        """
        Follow a model.
        """

    def close(self) -> None:
        """
        Close the client.
        """


class AsyncioStyle:
    """
    ``Client``, in a separate event loop.
    """

    client_class = Client

    def __init__(self, address: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self.client = Client(address, **options)

    def run(self, awaitable: Any) -> Any:
        """
        Wait for something.
        """

        async def bounded() -> Any:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await awaitable

        return self._runner.run(bounded())

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """See ``Style.call``."""
        result = getattr(self.client, name)(*arguments, **keywords)
        return self.run(result) if inspect.isawaitable(result) else result

    def iterate(self, name: str, *arguments: Any, **keywords: Any) -> Iterator[Any]:
        """See ``Style.iterate``."""
        items: AsyncIterator[Any] = getattr(self.client, name)(*arguments, **keywords)
        end = object()
        while (item := self.run(anext(items, end))) is not end:
            yield item

    def track(self, *arguments: Any, **keywords: Any) -> Followed:
        """See ``Style.track``."""
        tracker = self.client.track(*arguments, **keywords)

        def latest() -> VersionInfo | None:
            self.run(asyncio.sleep(0))  # the loop does not run by itself
            return tracker.latest()

        def connection() -> tuple[bool, int | None]:
            self.run(asyncio.sleep(0))
            return tracker.is_connected, tracker.connection_changed_ns

        return Followed(
            lambda: self.run(tracker.start()),
            lambda: self.run(tracker.__anext__()),
            latest,
            connection,
            lambda: self.run(tracker.aclose()),
        )

    def close(self) -> None:
        """See ``Style.close``."""
        self.run(self.client.close())
        self._runner.close()


class BlockingStyle:
    """
    ``BlockingClient``.
    """

    client_class = BlockingClient

    def __init__(self, address: str, **options: Any) -> None:
        self.client = BlockingClient(address, **options)

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """See ``Style.call``."""
        return getattr(self.client, name)(*arguments, **keywords)

    def iterate(self, name: str, *arguments: Any, **keywords: Any) -> Iterator[Any]:
        """See ``Style.iterate``."""
        yield from self.call(name, *arguments, **keywords)

    def track(self, *arguments: Any, **keywords: Any) -> Followed:
        """See ``Style.track``."""
        tracker = self.client.track(*arguments, **keywords)

        def following() -> Any:
            for item in tracker:
                return item
            raise StopAsyncIteration

        def connection() -> tuple[bool, int | None]:
            return tracker.is_connected, tracker.connection_changed_ns

        return Followed(tracker.__enter__, following, tracker.latest, connection, tracker.close)

    def close(self) -> None:
        """See ``Style.close``."""
        self.client.close()


@implementer(IReactorFromThreads)
class PumpedReactor:
    """
    A reactor that runs the calls of other threads while the test waits.
    """

    def __init__(self) -> None:
        self._asked: Queue[Callable[[], object]] = Queue()

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """See ``IReactorFromThreads.callFromThread``."""
        self._asked.put(lambda: callable(*args, **kwargs))

    def wait_to_be_asked(self) -> None:
        """
        Wait until something is asked for, and do not run it yet.
        """
        wait_until(lambda: not self._asked.empty(), "something is asked for")

    def wait_for(self, deferred: "Deferred[Any]") -> Any:
        """
        Run what is asked for until a Deferred fires, and give its result.
        """
        results: list[Any] = []
        deferred.addBoth(results.append)
        while not results:
            self._asked.get(timeout=TIMEOUT_SECONDS)()
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]


class DeferredStyle:
    """
    ``DeferredClient``, with a reactor that the test pumps.
    """

    client_class = DeferredClient

    def __init__(self, address: str, **options: Any) -> None:
        self.reactor = PumpedReactor()
        self.client = DeferredClient(self.reactor, address, **options)

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """See ``Style.call``."""
        result = getattr(self.client, name)(*arguments, **keywords)
        return self.reactor.wait_for(result) if isinstance(result, Deferred) else result

    def iterate(self, name: str, *arguments: Any, **keywords: Any) -> Iterator[Any]:
        """See ``Style.iterate``."""
        items = self.call(name, *arguments, **keywords)
        while True:
            try:
                yield self.reactor.wait_for(items.__anext__())
            except StopAsyncIteration:
                return

    def track(self, *arguments: Any, **keywords: Any) -> Followed:
        """See ``Style.track``."""
        tracker = self.client.track(*arguments, **keywords)
        wait_for = self.reactor.wait_for
        return Followed(
            lambda: wait_for(tracker.start()),
            lambda: wait_for(tracker.__anext__()),
            tracker.latest,
            lambda: (tracker.is_connected, tracker.connection_changed_ns),
            lambda: wait_for(tracker.close()),
        )

    def close(self) -> None:
        """See ``Style.close``."""
        self.reactor.wait_for(self.client.close())
