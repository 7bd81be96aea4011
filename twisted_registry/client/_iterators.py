"""
Steps of an asynchronous iterator: they can be broken off one by one, or all at once where it is closed.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar

from twisted_registry.client.errors import ClientUnusable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def is_being_cancelled() -> bool:
    """
    Say whether somebody has cancelled the task that asks: else, where it sees a cancellation, that is of something it
    waits for.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class StepRunner:
    """
    The steps of one iterator that are under way.
    """

    def __init__(self) -> None:
        self._is_closed = False
        self._under_way: set[asyncio.Future[Any]] = set()

    async def take(self, step: Awaitable[T]) -> T:
        """
        Take a step.

        Raises:
            StopAsyncIteration: the iterator is closed, or was closed meanwhile.
        """
        task = asyncio.ensure_future(step)
        self._under_way.add(task)
        if self._is_closed:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._is_closed and not is_being_cancelled():
                raise StopAsyncIteration from None
            raise
        finally:
            self._under_way.discard(task)

    async def close(self) -> None:
        """
        Break off what is under way, and whatever comes.
        """
        self._is_closed = True
        under_way = list(self._under_way)
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)


class NotPicklable:
    """
    What cannot be taken to another process, or copied: it holds a call, and a place in what comes.
    """

    def __reduce__(self) -> NoReturn:
        """

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"{type(self).__name__} cannot be pickled or copied, for it holds a connection of this process: pickle the "
            "client, which connects anew, and make another one there"
        )


class Items(NotPicklable, Generic[T]):
    """
    Items that come one by one: an asynchronous iterator, which ``contextlib.aclosing`` can close.

    One whose step was broken off, or has failed, says so when it is asked for more: it does not come to its end as if
    that were all.
    """

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items
        self._steps = StepRunner()
        self._is_stepping = False
        self._is_broken = False

    def __aiter__(self) -> "Items[T]":
        return self

    async def __anext__(self) -> T:
        """
        Wait for the next item.

        Raises:
            ClientUnusable: an earlier step was broken off or has failed, or another one is under way.
        """
        if self._is_broken:
            raise ClientUnusable("a step of this iterator was broken off or has failed: it cannot go on; begin anew")
        if self._is_stepping:
            raise ClientUnusable("this iterator is waiting for an item already: ask for one at a time")
        self._is_stepping = True
        try:
            return await self._steps.take(anext(self._items))
        except StopAsyncIteration:
            raise
        except BaseException:
            self._is_broken = True
            raise
        finally:
            self._is_stepping = False

    async def aclose(self) -> None:
        """
        Want no more.  Whoever is waiting for an item comes to the end.
        """
        await self._steps.close()
        await self._items.aclose()


class ClosableIterator(Protocol[T_co]):
    """
    An asynchronous iterator that can be closed.
    """

    def __aiter__(self) -> "ClosableIterator[T_co]":
        """
        Give itself.
        """

    def __anext__(self) -> Coroutine[Any, Any, T_co]:
        """
        Wait for the next item.
        """

    def aclose(self) -> Coroutine[Any, Any, None]:
        """
        Want no more items.
        """


class End:
    """
    There are no more items.
    """


END: Final = End()
