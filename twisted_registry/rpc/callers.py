"""
How many calls are under way, and of whom.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from twisted.logger import Logger

from twisted_registry.contracts.transfers import ClientLimits
from twisted_registry.domain.errors import Overloaded
from twisted_registry.rpc.hangup import hang_up

_log = Logger()

_EMPTY_CALLS_MAX = 500
"""
Calls that have brought no request yet, and those of the last second that ended without.  A request comes right behind
the call's headers: clients that mean well have a few of these at a time, also where thousands come back at once.
"""

_EMPTY_CALLS_PER_CONNECTION = 16
_LISTENED_AT_ONCE = 100
_SECONDS_BETWEEN_HANGUPS = 0.05
_LOG_SECONDS = 60.0


class Callers:
    """
    Counts calls by connection and by address, and refuses those beyond the limits.

    A call counts until gRPC has sent its status: a client that does not take its replies keeps its calls.

    Where very many calls bring no request, the connections that have more than a few of these are closed: gRPC then
    drops the rest of their calls, which costs nearly nothing, before Python has to take each of them.
    """

    def __init__(
        self,
        limits: ClientLimits,
        hang_up: Callable[[Collection[str]], Collection[str]] = hang_up,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """

        Args:
            hang_up: closes the connections with peers, and returns those that there were.
        """
        self._limits = limits
        self._hang_up = hang_up
        self._now_seconds = now_seconds
        self._empty: dict[int, str] = {}
        self._wasted: Counter[str] = Counter()
        self._listened = 0
        self._wasted_since = self._hung_up_at = self._logged_at = -_LOG_SECONDS
        self._hung_up = 0
        self._by_peer: dict[str, int] = {}
        self._by_host: dict[str, int] = {}
        self._calls = 0

    def __len__(self) -> int:
        return self._calls

    @property
    def busy(self) -> Collection[str]:
        """
        Return the peers (connections, as gRPC names them) that have calls under way.
        """
        return self._by_peer.keys()

    def admit(self, context: Any) -> None:
        """
        Count a call until it is over.

        Raises:
            Overloaded: there are too many.
        """
        if self._calls >= self._limits.calls_max:
            raise Overloaded(
                f"{self._calls} calls are under way; try again later, or start the registry with a larger --max-calls"
            )
        host = _host_of(context.peer())
        calls = self._by_host.get(host, 0)
        if calls >= self._limits.calls_per_client_max:
            raise Overloaded(
                f"{calls} calls from this address are under way; end some, or start the registry with a larger "
                "--max-calls-per-client"
            )
        self.count(context)

    def count(self, context: Any) -> None:
        """
        Count a call until it is over, however many there are.
        """
        peer = context.peer()
        host = _host_of(peer)
        self._calls += 1
        self._by_peer[peer] = self._by_peer.get(peer, 0) + 1
        self._by_host[host] = self._by_host.get(host, 0) + 1
        context.add_done_callback(partial(self._leave, id(context), peer, host))

    def listen(self, context: Any) -> None:
        """
        Begin to wait for the request of a call that is counted.
        """
        self._empty[id(context)] = context.peer()
        # A sum over all of them costs too much for each call: this looks once in so many.
        self._listened += 1
        if not self._listened % _LISTENED_AT_ONCE:
            self._close_empty()

    def heard(self, context: Any) -> None:
        """
        End waiting: the request has come.
        """
        self._empty.pop(id(context), None)

    def _leave(self, call: int, peer: str, host: str, _: Any) -> None:
        self._calls -= 1
        if self._empty.pop(call, None) is not None:
            self._waste(peer)
        _decrement(self._by_peer, peer)
        _decrement(self._by_host, host)

    def _waste(self, peer: str) -> None:
        self._forget_wasted(self._now_seconds())
        self._wasted[peer] += 1

    def _forget_wasted(self, now: float) -> None:
        if now > self._wasted_since + 1.0:
            self._wasted.clear()
            self._wasted_since = now

    def _close_empty(self) -> None:
        now = self._now_seconds()
        self._forget_wasted(now)
        empty = self._wasted + Counter(self._empty.values())
        if now < self._hung_up_at + _SECONDS_BETWEEN_HANGUPS or empty.total() < _EMPTY_CALLS_MAX:
            return
        self._hung_up_at = now
        peers = [peer for peer, calls in empty.items() if calls >= _EMPTY_CALLS_PER_CONNECTION]
        self._hung_up += len(self._hang_up(peers)) if peers else 0
        self._wasted.clear()
        if self._hung_up and now >= self._logged_at + _LOG_SECONDS:
            _log.warn(
                "closed {connections} connections that opened calls without a request: {calls} of these at once",
                connections=self._hung_up,
                calls=empty.total(),
            )
            self._logged_at, self._hung_up = now, 0


def _host_of(peer: str) -> str:
    return peer.rpartition(":")[0]  # without the port


def _decrement(counter: dict[str, int], key: str) -> None:
    left = counter[key] - 1
    if left:
        counter[key] = left
    else:
        del counter[key]
