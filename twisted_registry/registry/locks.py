"""
One line of waiters a model, made when it is wanted and gone when nobody wants it.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field
from twisted.internet.defer import Deferred


@define
class _Line:
    held: bool = False
    handing_over: bool = False
    waiting: deque[Deferred[None]] = field(factory=deque)


class KeyedLocks:
    """
    Lets one coroutine at a time hold a key, in the order of asking.

    Not made of ``twisted.internet.defer.DeferredLock``: that one fires the next waiter inside its release, and a waiter
    that is done at once releases inside that.  A hundred of them in a row are more frames than Python allows.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """
        Wait for the key, and hold it.
        """
        line = self._lines.setdefault(key, _Line())
        if line.held or line.waiting:
            turn: Deferred[None] = Deferred()
            line.waiting.append(turn)
            await self._wait(line, turn)
        line.held = True
        try:
            yield
        finally:
            line.held = False
            self._hand_over(key, line)

    async def _wait(self, line: _Line, turn: Deferred[None]) -> None:
        try:
            await turn
        except BaseException:  # who waits was cancelled
            line.waiting.remove(turn)
            raise

    def _hand_over(self, key: str, line: _Line) -> None:
        if line.handing_over:
            return  # the loop below goes on, further up the stack
        line.handing_over = True
        while line.waiting and not line.held:
            line.held = True
            line.waiting.popleft().callback(None)
        line.handing_over = False
        if not line.held and not line.waiting:
            del self._lines[key]
