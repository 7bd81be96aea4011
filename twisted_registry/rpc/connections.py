"""
The limit on connections.

gRPC itself closes connections beyond the limit as they come, without a word.  This tells the log, and makes room before
the limit is reached: a client that opens connections and does nothing with them keeps nobody out for long.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from twisted.logger import Logger

from twisted_registry.daemon.descriptor_limit import open_descriptors
from twisted_registry.rpc.sockets import Address, address_of, shut_down

T = TypeVar("T")

_log = Logger()

_CHECK_SECONDS = 1.0
_LOG_SECONDS = 60.0
_HEADROOM_SHARE = 16


class Connections:
    """
    Closes connections that carry no call where the limit is near.
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
            accepted: returns the clients that are connected, and how many bytes each has sent.
            shut_down: closes connections, and returns those that there were.
        """
        self._limit = limit
        self._headroom = max(1, limit // _HEADROOM_SHARE)
        self._busy = busy
        self._accepted = accepted
        self._shut_down = shut_down
        self._now_seconds = now_seconds
        # Looking at thousands takes a tenth of a second, in which calls would wait.
        self._executor = ThreadPoolExecutor(1, "connections")
        self._idle: set[Address] = set()
        self._closed = 0
        self._logged_seconds: float | None = None

    async def watch(
        self, open_descriptors: Callable[[], int] = open_descriptors, check_seconds: float = _CHECK_SECONDS
    ) -> None:
        """
        Check now and then, until cancelled.
        """
        while True:
            await asyncio.sleep(check_seconds)
            # There are at least as many descriptors as connections: most checks end here.
            if open_descriptors() >= self._limit - self._headroom:
                try:
                    await self.check()
                except Exception:  # the next check may go well
                    _log.failure("the connections could not be checked")

    async def count(self) -> int:
        """
        Return how many connections there are.
        """
        return len(await self._run(self._accepted))

    def close(self) -> None:
        """
        End the thread in which connections are looked at.
        """
        self._executor.shutdown(wait=False)

    async def check(self) -> None:
        """
        Make room where the limit is near.
        """
        accepted = await self._run(self._accepted)
        busy = {address_of(peer) for peer in self._busy()}
        # One that has just come has had no time for a call.
        idle, self._idle = accepted.keys() & self._idle - busy, accepted.keys() - busy
        surplus = len(accepted) - (self._limit - self._headroom)
        if surplus < 0:
            return
        to_close = self._first_to_go(idle, accepted)[: surplus + self._headroom]
        if to_close:
            self._closed += len(await self._run(partial(self._shut_down, frozenset(to_close))))
        self._log(accepted)

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    def _first_to_go(self, idle: set[Address], accepted: Mapping[Address, int]) -> list[Address]:
        """
        Order connections: first those of the hosts that have the most, among them those that have sent the least.
        """
        by_host = Counter(host for host, _ in accepted)
        return sorted(idle, key=lambda address: (-by_host[address[0]], accepted[address]))

    def _log(self, accepted: Collection[Address]) -> None:
        now = self._now_seconds()
        if self._logged_seconds is not None and now < self._logged_seconds + _LOG_SECONDS:
            return
        ((host, most),) = Counter(host for host, _ in accepted).most_common(1)
        _log.warn(
            "{connections} connections are open, {most} of them from {host}; beyond --max-connections, {limit}, they "
            "are refused; {closed} that carried no call were closed to make room",
            connections=len(accepted),
            most=most,
            host=host,
            limit=self._limit,
            closed=self._closed,
        )
        self._logged_seconds, self._closed = now, 0
