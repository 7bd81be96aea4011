"""
What the paged calls have in common.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

from google.protobuf.message import Message

from twisted_registry.domain.errors import Overloaded, TooLarge
from twisted_registry.domain.models import MAX_ENTRIES
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.outgoing import COUNTED_BYTES, Outgoing

T = TypeVar("T")
M = TypeVar("M", bound=Message)

MAX_REPLY_BYTES = 64 * 1024 * 1024

BATCH = 256

_SHORT = 16
_LONG_AT_ONCE = 2
_MOST_WAITING = 100


class LongLists:
    """
    Lets a few long lists be made at a time.  They keep the processor busy, so that more at once would be no faster, and
    each may take hundreds of megabytes.

    Attributes:
        outgoing: what may be on its way.
    """

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self._turns = asyncio.Semaphore(_LONG_AT_ONCE)
        self._waiting = 0

    async def reply(self, call: CallContext, length: int, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """
        Make a reply when there is a turn for it, and a share of what may be on its way.

        Args:
            length: most infos that will be in it.
            make: makes it, anew at each call; a short one in one go, where it is made from memory.

        Raises:
            Overloaded: too many wait for a turn.
        """
        if length > _SHORT:
            make = partial(self._in_turn, make)
        reply = await make()
        size_bytes = len(reply)
        if size_bytes < COUNTED_BYTES:
            return reply
        share = self.outgoing.share_at_once(call, size_bytes)
        if share is None:
            # It is made again when there is room for it: so many may wait that none is to wait with what it has made.
            del reply
            share = await self.outgoing.share(call, size_bytes)
            reply = await make()
        share.clients_turn()
        return reply

    async def _in_turn(self, make: Callable[[], Awaitable[bytes]]) -> bytes:
        if self._waiting >= _MOST_WAITING:
            raise Overloaded(f"{_MOST_WAITING} long lists wait to be made; try again later, or ask in small pages")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            return await make()
        finally:
            self._turns.release()


class Page(Generic[M]):
    """
    Gathers the infos of a reply.  They are serialized a few at a time: a hundred thousand at once would hold all other
    calls up for a tenth of a second.

    Attributes:
        length: how many infos there are.
        last: the last of them.
    """

    def __init__(self, count: int, count_field: str, serialize: Callable[[Sequence[M], str], bytes]) -> None:
        """

        Args:
            count: how many are asked for; 0 for no limit.
            serialize: makes a reply of infos and the handle that goes on with the list.
        """
        self.length = 0
        self.last: M | None = None
        self._count = count
        self._count_field = count_field
        self._serialize = serialize
        self._size_bytes = 0
        self._items: list[M] = []
        self._serialized: list[bytes] = []

    @property
    def room(self) -> int:
        """
        How many more are wanted, as far as one step of a long list may go; 0 when the page is full.
        """
        return min(self._count - self.length, BATCH) if self._count else BATCH

    def add(self, item: M) -> None:
        """
        Add an info.

        Raises:
            TooLarge: the reply would be.
        """
        self._size_bytes += item.ByteSize() + 6  # at most: a tag and a length
        if self._size_bytes > MAX_REPLY_BYTES:
            raise TooLarge(
                f"the reply would be larger than {MAX_REPLY_BYTES} bytes; ask in smaller pages: set "
                f"{self._count_field}, and pass the handle of each reply to the next call"
            )
        if len(self._items) == BATCH:
            self._serialized.append(self._serialize(self._items, ""))
            self._items = []
        self._items.append(item)
        self.length += 1
        self.last = item

    def reply(self, handle: str) -> bytes:
        """
        Return the reply.  One message after another is, to protobuf, one message with all that is in them.
        """
        rest = self._serialize(self._items, handle)
        return b"".join((*self._serialized, rest)) if self._serialized else rest


def check_asked(asked: int) -> None:
    """
    Refuse a list that takes too long to answer.

    Args:
        asked: how many entries a request names.

    Raises:
        TooLarge: there are too many.
    """
    if asked > MAX_ENTRIES:
        raise TooLarge(f"the request names {asked} entries; ask for at most {MAX_ENTRIES} in one call")


async def batches(items: Iterable[T]) -> AsyncIterator[list[T]]:
    """
    Give items a few at a time, and let other calls have their turn in between.
    """
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
        if len(batch) == BATCH:
            await asyncio.sleep(0)
