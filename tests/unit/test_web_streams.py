"""
Tests of the limit on replies that stream by HTTP.
"""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import fail
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.web.edge import Edge
from twisted_registry.web.hosts import HostNames
from twisted_registry.web.pages import Page
from twisted_registry.web.requests import NOT_DONE_YET
from twisted_registry.web.site import make_site


class _Streams(Page):
    """
    A page whose replies have no end, unless they are refused.
    """

    isLeaf = True
    exists = True

    def __init__(self, edge: Edge) -> None:
        super().__init__()
        self._edge = edge

    def render(self, request: Any) -> Any:
        """
        Begin a reply.
        """
        if self._edge.may_stream(request):
            request.write(b"begun")
        return NOT_DONE_YET


class StreamsTests(SynchronousTestCase):
    """
    A limit of three.
    """

    def setUp(self) -> None:
        """
        Make a site.
        """
        clock: Any = Clock()
        edge = Edge(lambda: self.fail("no call"), clock, lambda function: fail(ZeroDivisionError()), streams_max=3)
        self.site = make_site({"events": _Streams(edge)}, clock, HostNames())

    def ask(self, host: str) -> tuple[str, Any]:
        """
        Ask for a stream, and return what came, and the connection.
        """
        address = IPv4Address("TCP", host, 1)
        protocol: Any = self.site.buildProtocol(address)
        transport = StringTransport(peerAddress=address)
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return transport.value().decode(), protocol

    def test_one_address(self) -> None:
        """
        An address gets two thirds of the streams, and leaves the rest to others.  Those that end count no longer.
        """
        first, connection = self.ask("192.0.2.1")
        self.assertIn("begun", first)
        self.assertIn("begun", self.ask("192.0.2.1")[0])
        self.assertIn("2 replies stream by HTTP to this address already", self.ask("192.0.2.1")[0])
        self.assertIn("begun", self.ask("192.0.2.2")[0])
        self.assertIn("3 replies stream by HTTP already", self.ask("192.0.2.3")[0])
        connection.connectionLost(Failure(ConnectionDone()))
        self.assertIn("begun", self.ask("192.0.2.3")[0])
        self.assertIn("3 replies stream", self.ask("192.0.2.1")[0])
