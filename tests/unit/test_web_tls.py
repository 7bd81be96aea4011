"""
Tests of TLS on the HTTP port, with OpenSSL's client of the standard library, without a network.
"""

import ssl
import warnings
from typing import Any

import trustme
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.web.hosts import HostNames
from twisted_registry.web.pages import LivePage, Page
from twisted_registry.web.requests import BoundedRequest
from twisted_registry.web.site import BoundedSite, make_site
from twisted_registry.web.tls import HandshakeLimit, ServerContext, TlsFactory, UnusableCertificate

_ADDRESS = IPv4Address("TCP", "127.0.0.1", 1)


class _LongPage(Page):
    exists = True

    def show(self, request: BoundedRequest) -> None:
        """
        Write a long body.
        """
        request.write_body("text/plain", b"x" * 2**20)


class _WhoPage(Page):
    exists = True

    def show(self, request: BoundedRequest) -> None:
        """
        Show the client's certificate.
        """
        request.write_body("text/plain", request.client_certificate)


class _Wire(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """
        Change nothing.
        """


class TlsTests(SynchronousTestCase):
    """
    A site with TLS.
    """

    def setUp(self) -> None:
        """
        Make a site.
        """
        self.ca = trustme.CA()
        self.client_ca = trustme.CA()
        self.clock = Clock()
        self.context = ServerContext()
        self.use_new()
        self.site = make_site({"livez": LivePage(), "who": _WhoPage(), "long": _LongPage()}, Clock(), HostNames())
        self.factory = TlsFactory(self.context, self.site, self.clock, HandshakeLimit(self.clock))

    def use_new(self) -> bytes:
        """
        Use a new certificate, and return it.
        """
        leaf = self.ca.issue_cert("localhost")
        chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
        self.context.use(chain, leaf.private_key_pem.bytes(), self.client_ca.cert_pem.bytes(), ["localhost"])
        return leaf.cert_chain_pems[0].bytes()

    def trusting(self) -> ssl.SSLContext:
        """
        Return a client's context that trusts the authority.
        """
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    def get(self, path: str, client: ssl.SSLContext | None = None, least_bytes: int = 0) -> tuple[bytes, bytes]:
        """
        Return the server's certificate in DER, and the reply to a request.

        Args:
            least_bytes: how long the reply is at least.
        """
        protocol, transport = self.factory.buildProtocol(_ADDRESS), _Wire()
        protocol.makeConnection(transport)
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        connection = (client or self.trusting()).wrap_bio(received, sent, server_hostname="localhost")

        def exchange(act: Any) -> Any:
            for _ in range(10):
                try:
                    return act()
                except ssl.SSLWantReadError:
                    if sent.pending:
                        protocol.dataReceived(sent.read())
                    self.clock.advance(0)
                    received.write(transport.value())
                    transport.clear()
            raise AssertionError("no end")

        exchange(connection.do_handshake)
        connection.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        reply: bytes = exchange(lambda: connection.read(2**16))
        while len(reply) < least_bytes:
            reply += exchange(lambda: connection.read(2**16))
        self.version, self.protocol = connection.version(), connection.selected_alpn_protocol()
        return connection.getpeercert(binary_form=True) or b"", reply

    def test_reply(self) -> None:
        """
        Requests are answered on a connection of TLS 1.3, or of 1.2 for clients that know no newer one.
        """
        client = self.trusting()
        client.set_alpn_protocols(["h2", "http/1.1"])
        self.assertIn(b" 200 OK", self.get("/livez", client)[1])
        self.assertEqual((self.version, self.protocol), ("TLSv1.3", "http/1.1"))
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assertIn(b" 200 OK", self.get("/livez", client)[1])
        self.assertEqual(self.version, "TLSv1.2")

    def test_long_reply(self) -> None:
        """
        A long body arrives whole.
        """
        self.assertTrue(self.get("/long", least_bytes=2**20)[1].endswith(b"x" * 2**20))

    def test_new_certificate(self) -> None:
        """
        New connections have the new certificate.
        """
        for _ in range(2):
            new = self.use_new()
            self.assertEqual(ssl.DER_cert_to_PEM_cert(self.get("/livez")[0]).encode(), new)

    def test_bad_certificate(self) -> None:
        """
        A certificate with another key is refused, and that before stays in force.
        """
        before = self.get("/livez")[0]
        leaf, other = (trustme.CA().issue_cert("localhost") for _ in range(2))
        with self.assertRaisesRegex(UnusableCertificate, "OpenSSL cannot use the certificate for --http-port"):
            self.context.use(leaf.cert_chain_pems[0].bytes(), other.private_key_pem.bytes(), None, ["other"])
        self.assertEqual((self.get("/livez")[0], self.context.names), (before, ["localhost"]))

    def test_client_certificate(self) -> None:
        """
        A client need not have a certificate; one of another authority ends the connection.
        """
        self.assertTrue(self.get("/who")[1].endswith(b"\r\n\r\n"))
        leaf, client = self.client_ca.issue_cert("robot.example.com"), self.trusting()
        leaf.configure_cert(client)
        self.assertTrue(self.get("/who", client)[1].endswith(leaf.cert_chain_pems[0].bytes()))
        stranger = self.trusting()
        trustme.CA().issue_cert("robot.example.com").configure_cert(stranger)
        with self.assertRaises(ssl.SSLError):
            self.get("/who", stranger)

    def test_old_version(self) -> None:
        """
        A client that knows only TLS 1.1 is disconnected.
        """
        client = self.trusting()
        client.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaisesRegex(ssl.SSLError, "(?i)protocol.version"):
            self.get("/livez", client)

    def test_plain(self) -> None:
        """
        A client without TLS gets an explanation, and is disconnected.
        """
        protocol, transport = self.factory.buildProtocol(_ADDRESS), _Wire()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 400 "), transport.value())
        self.assertIn(b"https://", transport.value())
        self.assertTrue(transport.disconnecting)

    def test_connections(self) -> None:
        """
        The limit on connections counts, and so does the limit on silence.
        """
        clock = Clock()
        site = BoundedSite(make_site({}, clock, HostNames()).wrappedFactory, connections_max=1)
        factory = TlsFactory(self.context, site, clock, HandshakeLimit(clock))
        first, second = _Wire(), _Wire()
        factory.buildProtocol(_ADDRESS).makeConnection(first)
        factory.buildProtocol(_ADDRESS).makeConnection(second)
        self.assertTrue(first.disconnected)
        clock.advance(60)
        self.assertTrue(second.disconnecting or second.disconnected)
        next(iter(site.protocols)).is_answering = True
        self.assertIsNone(factory.buildProtocol(_ADDRESS))

    def test_handshakes(self) -> None:
        """
        In each second, an address begins only so many connections, and so do all together; the log says so once.
        """
        clock = Clock()
        limit = HandshakeLimit(clock, host_max=2, all_max=3)
        factory = TlsFactory(self.context, self.site, clock, limit)
        first, second, third = (IPv4Address("TCP", f"192.0.2.{number}", 1) for number in (1, 2, 3))
        with capturedLogs() as logged:
            for _ in range(2):
                clock.advance(1)
                asked = (first, first, first, second, second, third)
                accepted = [factory.buildProtocol(address) is not None for address in asked]
                self.assertEqual(accepted, [True, True, False, True, False, False])
        self.assertEqual([event["host"] for event in logged], ["192.0.2.1"])
