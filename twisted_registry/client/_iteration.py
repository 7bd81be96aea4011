"""
Steps of an asynchronous iterator, for those who take them from another thread.
"""

from collections.abc import AsyncIterator
from typing import Final, TypeVar

T = TypeVar("T")


class End:
    """
    There are no more items.
    """


END: Final = End()


async def following(items: AsyncIterator[T]) -> T | End:
    """
    Give the next item, or L{END}.
    """
    return await anext(items, END)


async def anext_of(items: AsyncIterator[T]) -> T:
    """
    Give the next item.

    @raise StopAsyncIteration: there are no more.
    """
    return await anext(items)


async def let_go(items: AsyncIterator[T]) -> None:
    """
    Want no more items.
    """
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
