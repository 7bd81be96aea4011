"""
One lock a model, made when it is wanted and gone when nobody wants it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field
from twisted.internet.defer import DeferredLock


@define
class _Shared:
    lock: DeferredLock = field(factory=DeferredLock)
    users: int = 0


class KeyedLocks:
    """
    Lets one coroutine at a time hold a key.
    """

    def __init__(self) -> None:
        self._shared: dict[str, _Shared] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """
        Wait for the key, in the order of asking, and hold it.
        """
        shared = self._shared.setdefault(key, _Shared())
        shared.users += 1
        try:
            await shared.lock.acquire()
            try:
                yield
            finally:
                shared.lock.release()
        finally:
            shared.users -= 1
            if not shared.users:
                del self._shared[key]
