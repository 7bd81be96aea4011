"""
The site: which page has which path, and the limits on connections.
"""

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from twisted_registry.web.pages import Page
from twisted_registry.web.requests import BoundedRequest

_IDLE_SECONDS = 30
"""How long a connection may be silent."""

_CONNECTIONS_MAX = 256


class BoundedSite(WrappingFactory):
    """
    A site that closes new connections if there are too many.
    """

    noisy = False

    def __init__(self, site: Site, connections_max: int = _CONNECTIONS_MAX) -> None:
        super().__init__(site)
        self._connections_max = connections_max

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: N802
        """
        Return the protocol of a new connection; ``None`` if there are too many.
        """
        if len(self.protocols) >= self._connections_max:
            return None
        return super().buildProtocol(addr)


def make_site(pages: Mapping[str, Resource], clock: IReactorTime) -> BoundedSite:
    """
    Return a site.

    Args:
        pages: the resources by the first part of their paths.
        clock: the reactor.
    """
    root = Page()
    for path, page in pages.items():
        root.putChild(path.encode(), page)
    site = Site(root, requestFactory=BoundedRequest, timeout=_IDLE_SECONDS, reactor=clock)
    site.displayTracebacks = site.noisy = False
    return BoundedSite(site)
