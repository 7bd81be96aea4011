"""
Mutexes for coroutines.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field
from twisted.internet.defer import Deferred


@define
class _Queue:
    is_held: bool = False
    is_handing_over: bool = False
    waiting: deque[Deferred[None]] = field(factory=deque)


class KeyedMutexes:
    """
    One mutex for each key, kept only while it is in use.  Waiters get it in the order of their requests.

    ``twisted.internet.defer.DeferredLock`` fires the next waiter inside its release, and a waiter that finishes at once
    releases inside that.  A hundred of them in a row would be more stack frames than Python allows.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """
        Wait for a key's mutex and hold it.
        """
        queue = self._queues.setdefault(key, _Queue())
        if queue.is_held or queue.waiting:
            await self._wait(queue)
        queue.is_held = True
        try:
            yield
        finally:
            queue.is_held = False
            self._hand_over(key, queue)

    async def _wait(self, queue: _Queue) -> None:
        granted: Deferred[None] = Deferred()
        queue.waiting.append(granted)
        try:
            await granted
        except BaseException:  # the waiter was cancelled
            queue.waiting.remove(granted)
            raise

    def _hand_over(self, key: str, queue: _Queue) -> None:
        if queue.is_handing_over:
            return  # the loop below continues, further up the stack
        queue.is_handing_over = True
        while queue.waiting and not queue.is_held:
            queue.is_held = True
            queue.waiting.popleft().callback(None)
        queue.is_handing_over = False
        if not queue.is_held and not queue.waiting:
            del self._queues[key]
