"""
The part that all calls by HTTP share.
"""

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
        streams_max: the most replies that stream at once.
        streaming: the requests whose replies do.
    """

    calls: Callable[[], ICalls]
    clock: IReactorTime
    defer: Defer
    streams_max: int
    streaming: set[BoundedRequest] = field(factory=set)

    def may_stream(self, request: BoundedRequest) -> bool:
        """
        Count a request whose reply streams, until it ends; or refuse it if there are too many.

        Returns:
            False if it was refused.
        """
        if len(self.streaming) >= self.streams_max:
            text = f"{len(self.streaming)} replies stream by HTTP already; end some, or make the call by gRPC"
            write_error(request, CallFailed("RESOURCE_EXHAUSTED", text))
            return False
        self.streaming.add(request)
        request.notifyFinish().addBoth(lambda _: self.streaming.discard(request))
        return True
