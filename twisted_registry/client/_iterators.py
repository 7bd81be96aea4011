"""
Asynchronous iterators whose steps can be cancelled one by one, or all at once by closing the iterator.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar

from twisted_registry.client.errors import ClientUnusable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def is_being_cancelled() -> bool:
    """
    Return whether the current task is being cancelled; if it is not, a ``CancelledError`` that it sees comes from
    something that it awaits.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class StepRunner:
    """
    The steps of an iterator, which are cancelled when it is closed.
    """

    def __init__(self) -> None:
        self._is_closed = False
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, step: Awaitable[T]) -> T:
        """
        Run a step.

        Raises:
            StopAsyncIteration: the iterator is closed, or was closed meanwhile.
        """
        task = asyncio.ensure_future(step)
        self._running.add(task)
        if self._is_closed:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._is_closed and not is_being_cancelled():
                raise StopAsyncIteration from None
            raise
        finally:
            self._running.discard(task)

    async def close(self) -> None:
        """
        Cancel the running steps, and all later ones.
        """
        self._is_closed = True
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


class NotPicklable:
    """
    A base for objects that hold a connection of this process, and cannot be pickled or copied.
    """

    def __reduce__(self) -> NoReturn:
        """
        Refuse to be pickled or copied.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied, because it holds a connection of this process: "
            "pickle the client, and create another one there"
        )


class Items(NotPicklable, Generic[T]):
    """
    An asynchronous iterator, which ``contextlib.aclosing`` can close.

    After a step was cancelled or has failed, further steps raise ``ClientUnusable``: the iterator does not end as if it
    were complete.
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
            ClientUnusable: an earlier step was cancelled or has failed, or another step is running.
        """
        if self._is_broken:
            raise ClientUnusable(
                "a step of this iterator was cancelled or has failed, and it cannot continue; create another one"
            )
        if self._is_stepping:
            raise ClientUnusable("this iterator is already waiting for an item: ask for one at a time")
        self._is_stepping = True
        try:
            return await self._steps.run(anext(self._items))
        except StopAsyncIteration:
            raise
        except BaseException:
            self._is_broken = True
            raise
        finally:
            self._is_stepping = False

    async def aclose(self) -> None:
        """
        Close the iterator.  A step that is waiting for an item ends the iteration.
        """
        await self._steps.close()
        await self._items.aclose()


class ClosableIterator(Protocol[T_co]):
    """
    An asynchronous iterator that can be closed.
    """

    def __aiter__(self) -> "ClosableIterator[T_co]":
        """
        Return the iterator itself.
        """

    def __anext__(self) -> Coroutine[Any, Any, T_co]:
        """
        Wait for the next item.
        """

    def aclose(self) -> Coroutine[Any, Any, None]:
        """
        Close the iterator.
        """


class End:
    """
    The end of an iteration, as a value: ``StopAsyncIteration`` cannot leave a thread.
    """


END: Final = End()
