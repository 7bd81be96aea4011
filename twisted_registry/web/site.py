"""
The site: which page has which path, and the limits on connections.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from twisted_registry.web.bodies import UnreadBodies
from twisted_registry.web.hosts import HostNames
from twisted_registry.web.pages import Page
from twisted_registry.web.requests import BoundedRequest

_IDLE_SECONDS = 30
"""How long a connection may be silent."""

_CONNECTION_SECONDS = 3600
"""How long a connection may take new requests.  gRPC's may be as old."""

_PIPELINED_MAX = 2
"""The most requests that are answered together if the client does not wait for answers.  Hardly any does."""

_CONNECTIONS_MAX = 512

STREAMS_MAX = _CONNECTIONS_MAX * 3 // 4
"""The most replies that stream, so that connections are left for probes and calls."""


class Connection(ProtocolWrapper):
    """
    A connection.

    Attributes:
        is_answering: whether a request that has arrived is not answered yet.
        host: the client's address.
    """

    is_answering = False
    host = ""
    _begun = 0

    def makeConnection(self, transport: Any) -> None:  # noqa: N802
        """
        Begin.
        """
        factory: Any = self.factory
        self._clock: IReactorTime = factory.wrappedFactory.reactor
        self._began_seconds = self._clock.seconds()
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Take data from the client.
        """
        self._begun = 0
        super().dataReceived(data)

    def begin_request(self) -> bool:
        """
        Count a request that begins, and return whether others may follow it on this connection.
        """
        self._begun += 1
        # It has the certificates, and the caller, with which it began.
        is_old = self._clock.seconds() - self._began_seconds >= _CONNECTION_SECONDS
        # Requests that arrive together would all be answered before the client reads anything: with a thousand of them,
        # the reactor would be busy for a second, and hold tens of megabytes.
        return not is_old and self._begun <= _PIPELINED_MAX

    @cached_property
    def certificate(self) -> bytes:
        """
        The client's certificate in PEM, if there is TLS; empty without one.
        """
        # Imported late: without TLS, the library is not needed.
        from twisted_registry.web.tls import peer_certificate

        return peer_certificate(self.transport)


class BoundedSite(WrappingFactory):
    """
    A site with a limit on connections.  For a new one beyond it, the oldest that waits for a request is closed: a
    client that opens connections without asking cannot keep out probes.  An address may have three quarters of them, so
    that neither can a client with very many requests that take long.
    """

    noisy = False
    protocol = Connection

    def __init__(self, site: Site, connections_max: int = _CONNECTIONS_MAX) -> None:
        super().__init__(site)
        self._connections_max = connections_max

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: N802
        """
        Return the protocol of a new connection; ``None`` if there are too many that are being answered.
        """
        host = getattr(addr, "host", "")
        own = [each for each in self.protocols if each.host == host]
        are_many = len(own) >= max(1, self._connections_max * 3 // 4)
        if are_many or len(self.protocols) >= self._connections_max:
            idle = next((each for each in (own if are_many else self.protocols) if not each.is_answering), None)
            if idle is None:
                return None
            del self.protocols[idle]
            idle.abortConnection()
        connection: Any = super().buildProtocol(addr)
        connection.host = host
        return connection

    def unregisterProtocol(self, p: Any) -> None:  # noqa: N802
        """
        Forget a connection that is closed.
        """
        self.protocols.pop(p, None)


class RegistrySite(Site):
    """
    The site.

    Attributes:
        refuse: answers a request that is not meant for this site, and returns whether it has.
        unread: the long bodies that clients have not read.
    """

    noisy = False
    refuse: Callable[[BoundedRequest], bool] = staticmethod(lambda request: False)
    unread: UnreadBodies

    def log(self, request: Any) -> None:
        """
        Log nothing: anyone can send very many requests, and Twisted's line has all of a query.  Calls are in the log of
        calls.
        """


def make_site(pages: Mapping[str, Resource], clock: IReactorTime, hosts: HostNames) -> BoundedSite:
    """
    Return a site.

    Args:
        pages: the resources by the first part of their paths.
        clock: the reactor.
        hosts: the names under which the site may be asked.
    """
    root = Page()
    for path, page in pages.items():
        root.putChild(path.encode(), page)
    site = RegistrySite(root, requestFactory=BoundedRequest, timeout=_IDLE_SECONDS, reactor=clock)
    site.displayTracebacks = False
    site.refuse = hosts.refuse
    site.unread = UnreadBodies()
    return BoundedSite(site)
