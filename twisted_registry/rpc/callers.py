"""
How many calls are under way, and of whom.
"""

from collections import Counter
from collections.abc import Collection
from functools import partial
from typing import Any

from twisted_registry.errors import Overloaded
from twisted_registry.interfaces import ClientLimits


class Callers:
    """
    Counts calls by connection and by address, and refuses those beyond the limits.

    A call counts until gRPC has sent its status: a client that does not take its replies keeps its calls.
    """

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._by_peer: Counter[str] = Counter()
        self._by_host: Counter[str] = Counter()
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

        @raise Overloaded: there are too many.
        """
        peer = context.peer()
        host = peer.rpartition(":")[0]  # without the port
        self._check(host)
        self._calls += 1
        self._by_peer[peer] += 1
        self._by_host[host] += 1
        context.add_done_callback(partial(self._leave, peer, host))

    def _check(self, host: str) -> None:
        if self._calls >= self._limits.calls_max:
            raise Overloaded(
                f"{self._calls} calls are under way; try again later, or start the registry with a larger --max-calls"
            )
        if self._by_host[host] >= self._limits.calls_per_client_max:
            raise Overloaded(
                f"{self._by_host[host]} calls from this address are under way; end some, or start the registry "
                "with a larger --max-calls-per-client"
            )

    def _leave(self, peer: str, host: str, _: Any) -> None:
        self._calls -= 1
        for counter, key in ((self._by_peer, peer), (self._by_host, host)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
