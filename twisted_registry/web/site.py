"""
The site: which page has which path, and the limits on connections.
"""

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from twisted_registry.web.pages import Page
from twisted_registry.web.requests import BoundedRequest

_IDLE_SECONDS = 30
"""How long a connection may be silent."""

_CONNECTIONS_MAX = 512

STREAMS_MAX = _CONNECTIONS_MAX * 3 // 4
"""The most replies that stream, so that connections are left for probes and calls."""


class Connection(ProtocolWrapper):
    """
    A connection.

    Attributes:
        is_answering: whether a request that has arrived is not answered yet.
    """

    is_answering = False


class BoundedSite(WrappingFactory):
    """
    A site with a limit on connections.  For a new one beyond it, the oldest that waits for a request is closed: a
    client that opens connections without asking cannot keep out probes.
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
        if len(self.protocols) >= self._connections_max:
            idle = next((each for each in self.protocols if not each.is_answering), None)
            if idle is None:
                return None
            del self.protocols[idle]
            idle.abortConnection()
        return super().buildProtocol(addr)

    def unregisterProtocol(self, p: Any) -> None:  # noqa: N802
        """
        Forget a connection that is closed.
        """
        self.protocols.pop(p, None)


class RegistrySite(Site):
    """
    The site.

    Attributes:
        hosts: the names under which it may be asked; ``None`` for any.
    """

    noisy = False
    hosts: Collection[str] | None = None

    def log(self, request: Any) -> None:
        """
        Log nothing: anyone can send very many requests, and Twisted's line has all of a query.  Calls are in the log of
        calls.
        """

    def answers_as(self, host: str) -> bool:
        """
        Return whether it may be asked as this host.

        A page of the Internet whose name suddenly resolves to this machine could otherwise make a user's browser send
        requests here, and read the answers.  An address in place of a name cannot be resolved to another one.
        """
        if self.hosts is None or host.lower() in self.hosts:
            return True
        try:
            ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True


def make_site(pages: Mapping[str, Resource], clock: IReactorTime, hosts: Collection[str] | None = None) -> BoundedSite:
    """
    Return a site.

    Args:
        pages: the resources by the first part of their paths.
        clock: the reactor.
        hosts: the names, in lower case, under which the site may be asked; addresses always may be.  ``None`` for any.
    """
    root = Page()
    for path, page in pages.items():
        root.putChild(path.encode(), page)
    site = RegistrySite(root, requestFactory=BoundedRequest, timeout=_IDLE_SECONDS, reactor=clock)
    site.displayTracebacks = False
    site.hosts = hosts
    return BoundedSite(site)
