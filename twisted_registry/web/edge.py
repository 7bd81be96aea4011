"""
The part that all calls by HTTP share.
"""

from collections import Counter
from collections.abc import Callable

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from twisted_registry.contracts.calls import CallFailed, ICalls
from twisted_registry.web.errors import write_error
from twisted_registry.web.requests import BoundedRequest

Defer = Callable[[Callable[[], str]], "Deferred[str]"]


@frozen
class Edge:
    """
    The needs of calls.

    Attributes:
        calls: returns the way to make calls, once the server runs.
        clock: the clock of heartbeats.
        defer: runs a function in another thread.
        streams_max: the most replies that stream at once; to one address, two thirds as many.
        streaming: how many replies stream to each address.
    """

    calls: Callable[[], ICalls]
    clock: IReactorTime
    defer: Defer
    streams_max: int
    streaming: Counter[str] = field(factory=Counter)

    def may_stream(self, request: BoundedRequest) -> bool:
        """
        Count a request whose reply streams, until it ends; or refuse it if there are too many.

        Returns:
            False if it was refused.
        """
        address, total = getattr(request.getClientAddress(), "host", ""), self.streaming.total()
        if total >= self.streams_max:
            return _refuse(request, f"{total} replies stream by HTTP already")
        if self.streaming[address] >= max(1, self.streams_max * 2 // 3):
            return _refuse(request, f"{self.streaming[address]} replies stream by HTTP to this address already")
        self.streaming[address] += 1
        request.notifyFinish().addBoth(lambda _: self._end(address))
        return True

    def _end(self, address: str) -> None:
        self.streaming[address] -= 1
        if not self.streaming[address]:
            del self.streaming[address]


def _refuse(request: BoundedRequest, problem: str) -> bool:
    write_error(request, CallFailed("RESOURCE_EXHAUSTED", f"{problem}; end some, or make the call by gRPC"))
    return False
