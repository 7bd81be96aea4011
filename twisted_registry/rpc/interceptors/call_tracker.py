"""
The interceptor that knows the calls under way: it limits them, and waits for the last of them when the server stops.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.logger import Logger

from twisted_registry.config.limits import ClientLimits
from twisted_registry.domain.errors import Overloaded, Unavailable
from twisted_registry.repeated_lines import CallLater, RepeatedLines
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method
from twisted_registry.rpc.sockets import disconnect

_log = Logger()

_START_WAIT_SECONDS = 30.0
"""How long a call waits for the registry to start.  A script started together with the daemon would retry anyway."""

_START_WAITERS_MAX = 1_000

_EMPTY_CALLS_MAX = 500
"""
The limit on calls without a request: those that wait for it, and those of the last second that ended without one.  A
request follows right after the call's headers, so well-behaved clients have few of these, even if thousands reconnect
at once.
"""

_EMPTY_CALLS_PER_CONNECTION = 16
_WAITS_PER_CHECK = 100
_SECONDS_BETWEEN_DISCONNECTS = 0.05


class CallGroup:
    """
    Calls whose handlers are running, and which are ended together.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._empty: asyncio.Event | None = None
        """Set when the last call ends; made only for ``wait_until_empty``, because each call would pay for it."""

    def enter(self) -> "asyncio.Task[Any]":
        """
        Add the current task.
        """
        task = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        self._tasks.add(task)
        return task

    def leave(self, task: "asyncio.Task[Any]") -> None:
        """
        Remove a task.
        """
        self._tasks.discard(task)
        self._cancelled.discard(task)
        if self._empty is not None and not self._tasks:
            self._empty.set()
            self._empty = None

    def has_cancelled(self, task: "asyncio.Task[Any]") -> bool:
        """
        Return whether ``cancel`` has cancelled a task of this group.
        """
        return task in self._cancelled

    async def wait_until_empty(self, timeout_seconds: float | None = None) -> None:
        """
        Wait until the last call has ended, or the time is over.
        """
        if not self._tasks:
            return
        if self._empty is None:
            self._empty = asyncio.Event()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), timeout_seconds)

    def cancel(self) -> None:
        """
        End the calls that are still running, as unavailable.
        """
        self._cancelled.update(self._tasks)
        for task in self._tasks:
            task.cancel()

    async def drain(self, timeout_seconds: float) -> None:
        """
        Wait until the last call has ended, and end those that have not done so in time.
        """
        await self.wait_until_empty(timeout_seconds)
        self.cancel()
        await self.wait_until_empty()


class CallTracker:
    """
    The interceptor that counts calls by connection and by address.  It refuses calls beyond the limits, before the
    registry serves, and once it stops.

    A call counts until gRPC has sent its status: the calls of a client that does not read its replies keep counting.

    If very many calls have no request, it closes the connections with more than a few of these.  gRPC then drops the
    rest of their calls before Python has to handle each of them, which costs almost nothing.

    Attributes:
        serving: the calls that are accepted only while the registry serves.
        standing: the calls of methods that are always served.
        callers: the connections that have made calls, for a reader that clears it; ``None`` if there is none.
    """

    callers: set[str] | None = None

    def __init__(
        self,
        limits: ClientLimits,
        disconnect: Callable[[Collection[str]], Collection[str]] = disconnect,
        now_seconds: Callable[[], float] = time.monotonic,
        call_later: CallLater | None = None,
    ) -> None:
        """

        Args:
            disconnect: closes the connections with peers, and returns those that existed.
            call_later: see ``RepeatedLines``.
        """
        self.serving = CallGroup()
        self.standing = CallGroup()
        self._refusal: str | None = "the registry is starting; try again in a moment"
        self._started = asyncio.Event()
        self._start_waiters = 0
        self._limits = limits
        self._disconnect = disconnect
        self._now_seconds = now_seconds
        self._empty: dict[int, str] = {}
        self._ended_empty: Counter[str] = Counter()
        self._waits = 0
        self._ended_empty_since = self._disconnected_at = -math.inf
        self._lines = RepeatedLines(now_seconds, call_later)
        self._by_peer: dict[str, int] = {}
        self._by_host: dict[str, int] = {}
        self._calls = self._last_number = 0

    def __len__(self) -> int:
        return self._calls

    @property
    def busy_peers(self) -> Collection[str]:
        """
        The peers (connections, as gRPC names them) that have calls under way.
        """
        return self._by_peer.keys()

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls are tracked.
        """
        admit = self.admit if method.is_limited else self.count
        always_served = method.always_served
        group = self.standing if always_served else self.serving

        async def handle(request: Any, call: CallContext) -> Any:
            admit(call)
            if self._refusal is not None and not always_served:
                await self._wait_or_refuse()
            task = group.enter()
            try:
                return await handler(request, call)
            except asyncio.CancelledError:
                if group.has_cancelled(task):
                    raise Unavailable("the registry has stopped; try again when it is back") from None
                raise
            finally:
                group.leave(task)

        return handle

    # Start and stop

    def open(self) -> None:
        """
        Serve calls from now on.
        """
        self._refusal = None
        self._started.set()

    def close(self) -> None:
        """
        Refuse new calls from now on, except those that are always served.
        """
        self._refusal = "the registry is stopping; try again when it is back"
        self._started.set()

    async def wait_for_start(self, timeout_seconds: float = _START_WAIT_SECONDS) -> None:
        """
        Wait until the registry has started, or has failed to start.

        Raises:
            Unavailable: it takes too long, or too many calls wait.
        """
        if self._start_waiters >= _START_WAITERS_MAX:
            raise Unavailable("the registry is starting, and too many calls wait for it; try again in a moment")
        self._start_waiters += 1
        try:
            await asyncio.wait_for(self._started.wait(), timeout_seconds)
        except TimeoutError:
            raise Unavailable("the registry is still starting; try again later") from None
        finally:
            self._start_waiters -= 1

    async def _wait_or_refuse(self) -> None:
        if not self._started.is_set():
            await self.wait_for_start()
        if self._refusal is not None:
            raise Unavailable(self._refusal)

    # Limits

    def admit(self, call: CallContext) -> None:
        """
        Count a call until it is over.

        Raises:
            Overloaded: too many are under way.
        """
        if self._calls >= self._limits.calls_max:
            raise Overloaded(
                f"{self._calls} calls are under way; try again later, or start the registry with a larger --max-calls"
            )
        host = host_of(call.peer)
        calls = self._by_host.get(host, 0)
        if calls >= self._limits.calls_per_client_max:
            raise Overloaded(
                f"{calls} calls from this address are under way; end some, or start the registry with a larger "
                "--max-calls-per-client"
            )
        self._count(call, host)

    def count(self, call: CallContext) -> None:
        """
        Count a call until it ends, without checking a limit.
        """
        self._count(call, host_of(call.peer))

    def _count(self, call: CallContext, host: str) -> None:
        peer = call.peer
        self._calls += 1
        call.number = self._last_number = self._last_number + 1
        calls = self._by_peer.get(peer, 0)
        if not calls and self.callers is not None:
            self.callers.add(peer)
        self._by_peer[peer] = calls + 1
        self._by_host[host] = self._by_host.get(host, 0) + 1
        call.add_done_callback(partial(self._leave, call.number, peer, host))

    def _leave(self, number: int, peer: str, host: str, _: Any) -> None:
        self._calls -= 1
        if self._empty.pop(number, None) is not None:
            self._forget_ended_empty(self._now_seconds())
            self._ended_empty[peer] += 1
        _decrement(self._by_peer, peer)
        _decrement(self._by_host, host)

    # Calls without a request

    def begin_wait(self, call: CallContext) -> None:
        """
        Record that a counted call waits for its request.
        """
        self._empty[call.number] = call.peer
        # Adding them up for each call would cost too much.
        self._waits += 1
        if not self._waits % _WAITS_PER_CHECK:
            self._close_empty()

    def end_wait(self, call: CallContext) -> None:
        """
        Record that the request of a call has arrived.
        """
        self._empty.pop(call.number, None)

    def _forget_ended_empty(self, now: float) -> None:
        if now > self._ended_empty_since + 1.0:
            self._ended_empty.clear()
            self._ended_empty_since = now

    def _close_empty(self) -> None:
        now = self._now_seconds()
        self._forget_ended_empty(now)
        empty = self._ended_empty + Counter(self._empty.values())
        if now < self._disconnected_at + _SECONDS_BETWEEN_DISCONNECTS or empty.total() < _EMPTY_CALLS_MAX:
            return
        self._disconnected_at = now
        peers = [peer for peer, calls in empty.items() if calls >= _EMPTY_CALLS_PER_CONNECTION]
        disconnected = len(self._disconnect(peers)) if peers else 0
        self._ended_empty.clear()

        def write(times: int) -> None:
            _log.warn(
                "closed {times} connections that opened calls without a request, {calls} of them at once",
                times=times,
                calls=empty.total(),
            )

        if disconnected:
            self._lines.happened("disconnected", write, disconnected)


def host_of(peer: str) -> str:
    """
    Return the address of a client, without its port.
    """
    return peer.rpartition(":")[0]


def _decrement(counter: dict[str, int], key: str) -> None:
    left = counter[key] - 1
    if left:
        counter[key] = left
    else:
        del counter[key]
