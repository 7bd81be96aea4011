"""
From gRPC's thread to the reactor's, and back.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar, cast

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

T = TypeVar("T")


@frozen
class Bridge:
    """
    Calls into the reactor's thread.
    """

    _reactor: IReactorFromThreads

    async def call(self, function: Callable[[], Deferred[T]]) -> T:
        """
        Call a function in the reactor's thread, and wait for its Deferred.

        Who waits may be cancelled; the call itself runs to its end, for a thread that writes behind it could not be
        stopped either.  Where half a call makes sense, it is cut into several.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()

        def settle(result: T | Failure) -> None:
            if waiter.done():
                return
            if isinstance(result, Failure):
                waiter.set_exception(cast(BaseException, result.value))
            else:
                waiter.set_result(result)

        def deliver(result: T | Failure) -> None:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                loop.call_soon_threadsafe(settle, result)

        self._reactor.callFromThread(lambda: maybeDeferred(function).addBoth(deliver))
        return await waiter


async def settled(future: Future[T]) -> T:
    """
    Wait for a job of a lane.  Costs nothing where it is done already.
    """
    if future.done():
        return future.result()
    return await asyncio.wrap_future(future)
