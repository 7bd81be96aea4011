"""
Tests of long replies by HTTP, and of clients that do not read them.
"""

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.web.bodies import PIECE_BYTES, UNREAD_SECONDS, UnreadBodies
from twisted_registry.web.hosts import HostNames
from twisted_registry.web.pages import Page
from twisted_registry.web.requests import BoundedRequest
from twisted_registry.web.site import make_site

BODY = bytes(range(256)) * 4096
"""A mebibyte."""

_BUFFER_BYTES = 2**16


class _SlowTransport(StringTransport):
    """
    A connection to a client that reads only when the test does.
    """

    unread_bytes = 0

    def write(self, data: bytes) -> None:
        """
        Take data, and ask for no more if the buffer is full, as TCP does.
        """
        super().write(data)
        self.unread_bytes += len(data)
        producer: Any = self.producer
        if self.unread_bytes > _BUFFER_BYTES:
            producer.pauseProducing()

    def read(self) -> None:
        """
        Read all that was sent.
        """
        self.unread_bytes = 0
        producer: Any = self.producer
        producer.resumeProducing()


class _LongPage(Page):
    exists = True

    def show(self, request: BoundedRequest) -> None:
        """
        Write a long body.
        """
        request.write_body("application/octet-stream", BODY)


class BodyTests(SynchronousTestCase):
    """
    Long bodies on connections without a network.
    """

    def setUp(self) -> None:
        """
        Make a site where an address may hold two bodies and a half.
        """
        self.clock = Clock()
        self.site = make_site({"long": _LongPage()}, self.clock, HostNames())
        site: Any = self.site.wrappedFactory
        site.unread = UnreadBodies(len(BODY) * 5 // 2, len(BODY) * 7 // 2)

    def ask(self, host: str = "192.0.2.1", method: str = "GET") -> tuple[_SlowTransport, Any]:
        """
        Ask for a long body on a new connection, and return its transport and its protocol.
        """
        transport = _SlowTransport(peerAddress=IPv4Address("TCP", host, 1))
        protocol: Any = self.site.buildProtocol(transport.getPeer())
        protocol.makeConnection(transport)
        protocol.dataReceived(f"{method} /long HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return transport, protocol

    def status(self, host: str) -> int:
        """
        Return the status of a reply.
        """
        return int(self.ask(host)[0].value().split()[1])

    def test_whole(self) -> None:
        """
        A client that reads gets the whole body, a buffer at a time, and then the answer to its next request.
        """
        transport, protocol = self.ask()
        for _ in range(2):
            while transport.unread_bytes:
                self.assertLess(transport.unread_bytes, _BUFFER_BYTES + PIECE_BYTES + 1000)
                self.clock.advance(UNREAD_SECONDS - 1)
                transport.read()
            head, _, body = transport.value().partition(b"\r\n\r\n")
            self.assertIn(b"Content-Length: 1048576", head.title())
            self.assertTrue(body == BODY)
            transport.clear()
            protocol.dataReceived(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertFalse(transport.disconnecting or transport.disconnected)

    def test_unread(self) -> None:
        """
        A client that stops to read is disconnected.
        """
        transport, _ = self.ask()
        transport.read()
        self.clock.advance(UNREAD_SECONDS - 1)
        self.assertFalse(transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(transport.disconnected)

    def test_limit_for_an_address(self) -> None:
        """
        An address with too much to read is refused more until it has read, or has left; others are not.
        """
        (first, _), (_, second) = self.ask("192.0.2.1"), self.ask("192.0.2.1")
        refused, _ = self.ask("192.0.2.1")
        head, _, body = refused.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 429 "), head)
        self.assertEqual(json.loads(body)["code"], "resource_exhausted")
        self.assertEqual(self.status("192.0.2.2"), 200)
        second.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.status("192.0.2.1"), 200)
        self.assertEqual(self.status("192.0.2.1"), 429)
        while first.unread_bytes:
            first.read()
        self.assertEqual(self.status("192.0.2.1"), 200)

    def test_limit_for_all(self) -> None:
        """
        Over the limit for all together, an address gets one body at a time.
        """
        statuses = [self.status(host) for host in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2", "192.0.2.3")]
        self.assertEqual(statuses, [200, 200, 200, 429, 200])

    def test_head(self) -> None:
        """
        HEAD gets the length, and holds nothing.
        """
        for _ in range(9):
            self.assertIn(b"content-length: 1048576", self.ask(method="HEAD")[0].value().lower())
