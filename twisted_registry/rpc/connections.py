"""
The limits on connections.

gRPC closes new connections beyond the limit without logging it.  This logs it, and closes idle connections before the
limit is reached: a client that opens connections and does not use them cannot keep others out for long.  It also limits
the connections of each client, which gRPC does not.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from twisted.logger import Logger

from twisted_registry.repeated_lines import CallLater, RepeatedLines
from twisted_registry.rpc.sockets import (
    Address,
    address_of,
    descriptor_limit,
    is_loopback,
    network_of,
    open_descriptors,
    shut_down,
)

T = TypeVar("T")

_log = Logger()

_CHECK_SECONDS = 1.0
_HEADROOM_SHARE = 16

_DESCRIPTORS_MIN = 16
"""With fewer left, connections are closed: some are needed to find them."""


class Connections:
    """
    The connections of a server.  Those that carry no call are closed when their number comes near the limit; of a
    client that has too many, also those that do.
    """

    def __init__(
        self,
        limit: int,
        client_limit: int,
        busy: Callable[[], Collection[str]],
        accepted: Callable[[], Mapping[Address, int]],
        shut_down: Callable[[Collection[Address]], Collection[Address]] = shut_down,
        now_seconds: Callable[[], float] = time.monotonic,
        call_later: CallLater | None = None,
    ) -> None:
        """

        Args:
            limit: the most connections.
            client_limit: the most connections of one client on another machine.
            busy: returns the peers that have calls under way, as gRPC names them.
            accepted: returns the connected clients, with the number of bytes each has sent.
            shut_down: closes connections, and returns those that existed.
            call_later: see ``RepeatedLines``.
        """
        self._limit = limit
        self._client_limit = client_limit
        self._headroom = max(1, limit // _HEADROOM_SHARE)
        self._busy = busy
        self._accepted = accepted
        self._shut_down = shut_down
        # Inspecting thousands takes a tenth of a second, in which calls would wait.
        self._executor = ThreadPoolExecutor(1, "connections")
        self._idle: set[Address] = set()
        self._ages: dict[Address, int] = {}
        """The number of the check that saw each connection first."""
        self._checks = 0
        self._closed: Counter[str] = Counter()
        self._lines = RepeatedLines(now_seconds, call_later)

    async def watch(
        self,
        open_descriptors: Callable[[], int] = open_descriptors,
        check_seconds: float = _CHECK_SECONDS,
        descriptor_limit: Callable[[], int] = descriptor_limit,
    ) -> None:
        """
        Check periodically, until cancelled.
        """
        fewest = min(self._limit - self._headroom, self._client_limit + 1)
        while True:
            await asyncio.sleep(check_seconds)
            # Counting descriptors is cheap, and there are at least as many as connections.
            opened, limit = open_descriptors(), descriptor_limit()
            is_full = opened >= limit - _DESCRIPTORS_MIN
            self._log_descriptors(opened, limit, is_full=is_full)
            if is_full or opened >= fewest:
                try:
                    await self.check(is_full=is_full)
                except Exception:  # the next check may succeed
                    _log.failure("cannot check the connections")

    def _log_descriptors(self, opened: int, limit: int, *, is_full: bool) -> None:
        def write(times: int) -> None:
            _log.error(
                "{opened} file descriptors are open, and the limit is {limit}: new connections and archived "
                "versions may fail; raise the limit (ulimit -n, LimitNOFILE= of systemd) or lower "
                "--max-connections, which is {most}",
                opened=opened,
                limit=limit,
                most=self._limit,
            )

        if is_full:
            self._lines.happened("descriptors", write)
        elif self._lines.ended("descriptors") is not None:
            _log.info(
                "there are enough file descriptors again: {opened} of {limit} are open", opened=opened, limit=limit
            )

    async def count(self) -> int:
        """
        Return the number of connections.
        """
        return len(await self._run(self._accepted))

    async def unused(self) -> Collection[Address]:
        """
        Return the connections that carry no call now.
        """
        busy = {address_of(peer) for peer in self._busy()}
        return (await self._run(self._accepted)).keys() - busy

    def close(self) -> None:
        """
        End the thread that inspects connections.
        """
        self._executor.shutdown(wait=False)

    async def check(self, *, is_full: bool = False) -> None:
        """
        Close connections of clients that have too many, and idle ones if their number is near the limit.

        Args:
            is_full: whether to close idle ones in any case.
        """
        accepted = await self._run(self._accepted)
        busy = {address_of(peer) for peer in self._busy()}
        self._checks += 1
        self._ages = {address: self._ages.get(address, self._checks) for address in accepted}
        # A new connection has had no time for a call.
        idle, self._idle = accepted.keys() & self._idle - busy, accepted.keys() - busy
        beyond = await self._close_beyond_client_limit(accepted, busy)
        surplus = len(accepted) - len(beyond) - (self._limit - self._headroom)
        if surplus < 0:
            if not is_full:
                return
            surplus = 0
        to_close = self._by_usefulness(idle - beyond, accepted)[: surplus + self._headroom]
        if to_close:
            self._closed["idle"] += len(await self._run(partial(self._shut_down, frozenset(to_close))))
        if not is_full:
            self._log(accepted)

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    # The limit for each client

    async def _close_beyond_client_limit(
        self, accepted: Mapping[Address, int], busy: Collection[Address | None]
    ) -> frozenset[Address]:
        """
        Close the connections of clients beyond their limit: those without calls first, and of these the newest.
        """
        clients: dict[str, list[Address]] = defaultdict(list)
        for address in accepted:
            if not is_loopback(address[0]):  # a proxy on this machine stands for many clients
                clients[network_of(address[0])].append(address)
        to_close: set[Address] = set()
        for addresses in clients.values():
            if len(addresses) > self._client_limit:
                addresses.sort(key=lambda address: (address in busy, -self._ages[address]))
                to_close.update(addresses[: len(addresses) - self._client_limit])
        if not to_close:
            return frozenset()
        closed = frozenset(await self._run(partial(self._shut_down, frozenset(to_close))))
        self._closed["client"] += len(closed)
        client, most = max(((name, len(addresses)) for name, addresses in clients.items()), key=lambda each: each[1])

        def write(times: int) -> None:
            _log.warn(
                "{client} has {most} connections; --max-connections-per-client is {limit}: {closed} beyond it were "
                "closed, those without calls and the newest first",
                client=client,
                most=most,
                limit=self._client_limit,
                closed=self._closed.pop("client", 0),
            )

        self._lines.happened("client", write)
        return closed

    # The limit for all

    def _by_usefulness(self, idle: Collection[Address], accepted: Mapping[Address, int]) -> list[Address]:
        """
        Order connections: those of the hosts with the most connections first, and of these those that have sent least.
        """
        by_host = Counter(host for host, _ in accepted)
        return sorted(idle, key=lambda address: (-by_host[address[0]], accepted[address]))

    def _log(self, accepted: Collection[Address]) -> None:
        ((host, most),) = Counter(host for host, _ in accepted).most_common(1)

        def write(times: int) -> None:
            _log.warn(
                "{connections} connections are open, {most} of them from {host}; --max-connections is {limit}, and "
                "further ones are refused; {closed} that carried no call were closed",
                connections=len(accepted),
                most=most,
                host=host,
                limit=self._limit,
                closed=self._closed.pop("idle", 0),
            )

        self._lines.happened("idle", write)
