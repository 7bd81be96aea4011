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
        # An error in a future holds, by its traceback, the frame that awaits it.  Were that to hold the future too,
        # what the call brought would stay until the garbage collector comes by.
        waiters: list[asyncio.Future[T]] = [loop.create_future()]

        def settle(result: T | Failure) -> None:
            if not waiters or waiters[0].done():
                return
            if isinstance(result, Failure):
                waiters[0].set_exception(cast(BaseException, result.value))
            else:
                waiters[0].set_result(result)

        def deliver(result: T | Failure) -> None:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                loop.call_soon_threadsafe(settle, result)

        self._reactor.callFromThread(lambda: maybeDeferred(function).addBoth(deliver))
        try:
            return await waiters[0]
        finally:
            waiters.clear()


async def settled(future: Future[T]) -> T:
    """
    Wait for a job of a serial executor.  Costs nothing where it is done already.
    """
    if future.done():
        return future.result()
    return await asyncio.wrap_future(future)
