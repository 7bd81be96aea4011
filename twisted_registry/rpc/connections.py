"""
The limit on connections.

gRPC closes new connections beyond the limit without logging it.  This logs it, and closes idle connections before the
limit is reached: a client that opens connections and does not use them cannot keep others out for long.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from twisted.logger import Logger

from twisted_registry.rpc.sockets import Address, address_of, open_descriptors, shut_down

T = TypeVar("T")

_log = Logger()

_CHECK_SECONDS = 1.0
_LOG_SECONDS = 60.0
_HEADROOM_SHARE = 16


class Connections:
    """
    The connections of a server.  Those that carry no call are closed when their number comes near the limit.
    """

    def __init__(
        self,
        limit: int,
        busy: Callable[[], Collection[str]],
        accepted: Callable[[], Mapping[Address, int]],
        shut_down: Callable[[Collection[Address]], Collection[Address]] = shut_down,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """

        Args:
            busy: returns the peers that have calls under way, as gRPC names them.
            accepted: returns the connected clients, with the number of bytes each has sent.
            shut_down: closes connections, and returns those that existed.
        """
        self._limit = limit
        self._headroom = max(1, limit // _HEADROOM_SHARE)
        self._busy = busy
        self._accepted = accepted
        self._shut_down = shut_down
        self._now_seconds = now_seconds
        # Inspecting thousands takes a tenth of a second, in which calls would wait.
        self._executor = ThreadPoolExecutor(1, "connections")
        self._idle: set[Address] = set()
        self._closed = 0
        self._logged_seconds: float | None = None

    async def watch(
        self, open_descriptors: Callable[[], int] = open_descriptors, check_seconds: float = _CHECK_SECONDS
    ) -> None:
        """
        Check periodically, until cancelled.
        """
        while True:
            await asyncio.sleep(check_seconds)
            # Counting descriptors is cheap, and there are at least as many as connections.
            if open_descriptors() >= self._limit - self._headroom:
                try:
                    await self.check()
                except Exception:  # the next check may succeed
                    _log.failure("cannot check the connections")

    async def count(self) -> int:
        """
        Return the number of connections.
        """
        return len(await self._run(self._accepted))

    def close(self) -> None:
        """
        End the thread that inspects connections.
        """
        self._executor.shutdown(wait=False)

    async def check(self) -> None:
        """
        Close idle connections if their number is near the limit.
        """
        accepted = await self._run(self._accepted)
        busy = {address_of(peer) for peer in self._busy()}
        # A new connection has had no time for a call.
        idle, self._idle = accepted.keys() & self._idle - busy, accepted.keys() - busy
        surplus = len(accepted) - (self._limit - self._headroom)
        if surplus < 0:
            return
        to_close = self._by_usefulness(idle, accepted)[: surplus + self._headroom]
        if to_close:
            self._closed += len(await self._run(partial(self._shut_down, frozenset(to_close))))
        self._log(accepted)

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    def _by_usefulness(self, idle: set[Address], accepted: Mapping[Address, int]) -> list[Address]:
        """
        Order connections: those of the hosts with the most connections first, and of these those that have sent least.
        """
        by_host = Counter(host for host, _ in accepted)
        return sorted(idle, key=lambda address: (-by_host[address[0]], accepted[address]))

    def _log(self, accepted: Collection[Address]) -> None:
        now = self._now_seconds()
        if self._logged_seconds is not None and now < self._logged_seconds + _LOG_SECONDS:
            return
        ((host, most),) = Counter(host for host, _ in accepted).most_common(1)
        _log.warn(
            "{connections} connections are open, {most} of them from {host}; --max-connections is {limit}, and further "
            "ones are refused; {closed} that carried no call were closed",
            connections=len(accepted),
            most=most,
            host=host,
            limit=self._limit,
            closed=self._closed,
        )
        self._logged_seconds, self._closed = now, 0
