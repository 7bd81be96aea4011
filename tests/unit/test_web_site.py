"""
Tests of the web edge.
"""

import tempfile

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from twisted_registry.web.hosts import HostNames
from twisted_registry.web.pages import LivePage, MetricsPage, Page, ReadyPage, VersionPage
from twisted_registry.web.requests import MAX_BODY_BYTES, BoundedRequest
from twisted_registry.web.site import BoundedSite, make_site

_ADDRESS = IPv4Address("TCP", "127.0.0.1", 1)
_LOST = Failure(ConnectionDone())


class _BrokenPage(Page):
    """
    A page with a bug.
    """

    def show(self, request: BoundedRequest) -> None:
        """
        Raise an error.
        """
        raise ZeroDivisionError


class _FormPage(Page):
    """
    A page that shows what it was sent.
    """

    isLeaf = True

    def render(self, request: BoundedRequest) -> bytes:
        """
        Show the type and the fields.
        """
        return f"{request.header('content-type')} {request.args}".encode()


class SiteTests(SynchronousTestCase):
    """
    Requests on connections without a network.
    """

    def setUp(self) -> None:
        """
        Make a site.
        """
        self.problem = self.write_problem = ""
        self.accepted: list[str] = []
        self.rendered: Deferred[tuple[str, bytes]] = Deferred()
        pages: dict[str, Resource] = {
            "livez": LivePage(),
            "readyz": ReadyPage(lambda: self.problem, lambda: self.write_problem),
            "version": VersionPage("1.2.3"),
            "metrics": MetricsPage(self.render),
            "broken": _BrokenPage(),
            "form": _FormPage(),
        }
        self.clock = Clock()
        self.site = make_site(pages, self.clock, HostNames())

    def render(self, accept: str) -> "Deferred[tuple[str, bytes]]":
        """
        Render metrics, later.
        """
        self.accepted.append(accept)
        return self.rendered

    def connect(
        self, site: BoundedSite | None = None, address: IPv4Address = _ADDRESS
    ) -> tuple[StringTransport, object]:
        """
        Open a connection, and return its transport and its protocol.
        """
        protocol = (site or self.site).buildProtocol(address)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return transport, protocol

    def ask(self, path: str, method: str = "GET", headers: str = "", body: bytes = b"") -> StringTransport:
        """
        Send a request on a new connection, and return its transport.
        """
        transport, protocol = self.connect()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        protocol.dataReceived(head.encode() + body)  # type: ignore[attr-defined]
        return transport

    def reply(self, path: str, method: str = "GET", headers: str = "") -> tuple[int, str, str]:
        """
        Return the status, the headers in lower case and the body of a reply.
        """
        return self.parsed(self.ask(path, method, headers))

    def parsed(self, transport: StringTransport) -> tuple[int, str, str]:
        """
        Return the status, the headers in lower case and the body of a reply.
        """
        head, _, body = transport.value().decode().partition("\r\n\r\n")
        status, _, headers = head.partition("\r\n")
        return int(status.split()[1]), headers.lower(), body

    def test_pages(self) -> None:
        """
        The probes answer with a word, and the version is JSON.
        """
        self.assertEqual(self.reply("/livez")[::2], (200, "ok\n"))
        self.assertEqual(self.reply("/readyz")[::2], (200, "ok\n"))
        self.assertEqual(self.reply("/version")[::2], (200, '{"version": "1.2.3"}\n'))

    def test_not_ready(self) -> None:
        """
        A registry that does not serve says why; it is alive nevertheless.
        """
        self.problem = "the disk is gone"
        self.assertEqual(self.reply("/readyz")[::2], (503, "the disk is gone\n"))
        self.assertEqual(self.reply("/livez")[0], 200)

    def test_not_ready_for_writes(self) -> None:
        """
        A registry that stores nothing is ready, and says so below.
        """
        self.assertEqual(self.reply("/readyz/writes")[::2], (200, "ok\n"))
        self.write_problem = "the archive cannot be written: Read-only file system"
        self.assertEqual(self.reply("/readyz/writes")[::2], (503, f"{self.write_problem}\n"))
        self.assertEqual(self.reply("/readyz")[::2], (200, "ok\n"))

    def test_headers(self) -> None:
        """
        Each reply forbids guesses, copies and frames, and does not name Twisted.
        """
        for path in ("/livez", "/none", "/version"):
            headers = self.reply(path)[1]
            for line in (
                "server: twisted-registry",
                "cache-control: no-store",
                "x-content-type-options: nosniff",
                "content-security-policy: default-src 'none'; frame-ancestors 'none'",
                "referrer-policy: no-referrer",
            ):
                self.assertIn(line, headers.split("\r\n"), path)

    def test_absent(self) -> None:
        """
        Other paths do not exist, also below pages, and no folder is listed.
        """
        for path in ("/", "/none", "/livez/", "/metrics/x", "/..", "/../livez", "/%2e%2e/etc/passwd", "//livez"):
            status, headers, body = self.reply(path)
            self.assertEqual((status, body), (404, "there is no such page\n"), path)
            self.assertIn("content-type: text/plain", headers)

    def test_methods(self) -> None:
        """
        HEAD gets the headers of GET; other methods are refused.
        """
        get, head = self.reply("/version"), self.reply("/version", "HEAD")
        self.assertEqual((head[0], head[2]), (200, ""))
        self.assertIn("content-length: 21", get[1])
        self.assertIn("content-length: 21", head[1])
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"):
            status, headers, body = self.reply("/livez", method)
            self.assertEqual(status, 405, method)
            self.assertIn("allow: get, head", headers)
            self.assertIn("use GET or HEAD", body)

    def test_metrics(self) -> None:
        """
        The metrics are rendered elsewhere, in a format that the reader accepts, while other requests are answered.
        """
        transport = self.ask("/metrics", headers="Accept: a/b\r\nAccept: c/d\r\n")
        self.assertEqual(self.accepted, ["a/b,c/d"])
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.reply("/livez")[0], 200)
        self.rendered.callback(("text/plain; version=0.0.4", b"a 1\n"))
        status, headers, body = self.parsed(transport)
        self.assertEqual((status, body), (200, "a 1\n"))
        self.assertIn("content-type: text/plain; version=0.0.4", headers)

    def test_reader_that_leaves(self) -> None:
        """
        Nothing happens if a reader leaves before the metrics are rendered.
        """
        transport, protocol = self.connect()
        protocol.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
        protocol.connectionLost(_LOST)  # type: ignore[attr-defined]
        self.rendered.callback(("text/plain", b"a 1\n"))
        self.assertEqual(transport.value(), b"")

    def test_bugs(self) -> None:
        """
        A bug is logged under an id, and the caller gets only that, also if it happens while metrics are rendered.
        """
        transport = self.ask("/metrics")
        self.rendered.errback(ZeroDivisionError())
        for status, _, body in (self.reply("/broken"), self.parsed(transport)):
            self.assertEqual(status, 500)
            self.assertRegex(body, r"^a bug in the registry; its log describes it as incident [0-9a-f]{12}\n$")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_large_bodies(self) -> None:
        """
        A body over the limit closes the connection, whether its length is declared or not.
        """
        chunk = b"x" * (MAX_BODY_BYTES + 1)
        declared = f"Content-Length: {10**12}\r\n"
        chunked = b"%x\r\n%s\r\n" % (len(chunk), chunk)
        for headers, body in ((declared, chunk), ("Transfer-Encoding: chunked\r\n", chunked)):
            transport = self.ask("/livez", "POST", headers, body)
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 413 "), transport.value())
            self.assertTrue(transport.disconnecting)

    def test_forms(self) -> None:
        """
        A body is not parsed as a form, which would take long.
        """
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            headers = f"Content-Type: {kind}\r\nContent-Length: 7\r\n"
            _, _, body = self.parsed(self.ask("/form", "POST", headers, b"a=1&b=2"))
            self.assertEqual(body, f"{kind} {{}}")

    def test_no_temporary_files(self) -> None:
        """
        A long body arrives even if there is no place for temporary files.
        """
        self.patch(tempfile, "tempdir", self.mktemp())
        body = b"x" * MAX_BODY_BYTES
        transport = self.ask("/form", "POST", f"Content-Length: {len(body)}\r\n", body)
        self.assertEqual(self.parsed(transport)[0], 200)

    def test_no_lines(self) -> None:
        """
        Requests are not logged, whatever their query has.
        """
        self.site.doStart()
        self.addCleanup(self.site.doStop)
        with capturedLogs() as logged:
            self.ask("/livez?secret=1")
        self.assertEqual(logged, [])

    def test_large_headers(self) -> None:
        """
        Headers over Twisted's limit close the connection.
        """
        for headers in (f"X: {'x' * 20_000}\r\n", "".join(f"X{number}: {'x' * 1000}\r\n" for number in range(20))):
            transport = self.ask("/livez", headers=headers)
            self.assertTrue(transport.disconnecting)
            self.assertNotIn(b" 200 ", transport.value())

    def test_silence(self) -> None:
        """
        A connection that is silent is closed.
        """
        transport, protocol = self.connect()
        protocol.dataReceived(b"GET /livez HT")  # type: ignore[attr-defined]
        self.clock.advance(29)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_old_connections(self) -> None:
        """
        A connection is closed with the first reply after an hour.
        """
        transport, protocol = self.connect()
        for second in range(0, 3621, 20):
            self.assertFalse(transport.disconnecting, second)
            transport.clear()
            protocol.dataReceived(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
            self.assertEqual(transport.disconnecting, second >= 3600, second)
            if transport.disconnecting:
                break
            self.clock.advance(20)
        self.assertIn(b"connection: close", transport.value().lower())

    def test_requests_together(self) -> None:
        """
        A client that sends many requests without waiting gets a few answers, and then the connection is closed.
        """
        live = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        posted = b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
        for request in (live, posted):
            transport, protocol = self.connect()
            protocol.dataReceived(request * 100)  # type: ignore[attr-defined]
            self.assertEqual(transport.value().count(b" 200 OK"), 3)
            self.assertEqual(transport.value().lower().count(b"connection: close"), 1)
            self.assertTrue(transport.disconnecting)

    def test_requests_behind_a_long_one(self) -> None:
        """
        So does a client that sends them while the first one is being answered.
        """
        transport, protocol = self.connect()
        protocol.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
        for _ in range(100):
            protocol.dataReceived(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
        self.rendered.callback(("text/plain", b"a 1\n"))
        self.assertEqual(transport.value().count(b" 200 OK"), 4)
        self.assertTrue(transport.disconnecting)

    def test_one_request_after_another(self) -> None:
        """
        A client that waits for answers may send any number of requests.
        """
        transport, protocol = self.connect()
        for _ in range(100):
            protocol.dataReceived(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
        self.assertEqual(transport.value().count(b" 200 OK"), 100)
        self.assertFalse(transport.disconnecting)

    def test_connections(self) -> None:
        """
        For a connection over the limit, the oldest that waits for a request is closed; that of a request that is being
        answered is not.
        """
        site = BoundedSite(self.site.wrappedFactory, connections_max=2)
        addresses = iter([IPv4Address("TCP", f"192.0.2.{number}", 1) for number in range(5)])
        asking, asked = self.connect(site, next(addresses))
        asked.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
        idle, closed = self.connect(site, next(addresses))
        new, protocol = self.connect(site, next(addresses))
        self.assertEqual([each.disconnected for each in (asking, idle, new)], [False, True, False])
        closed.connectionLost(_LOST)  # type: ignore[attr-defined]
        first, self.rendered = self.rendered, Deferred()
        protocol.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
        self.assertIsNone(site.buildProtocol(next(addresses)))
        first.callback(("text/plain", b"x"))
        self.connect(site, next(addresses))
        self.assertTrue(asking.disconnected)

    def test_connections_of_one_address(self) -> None:
        """
        An address with requests that take long leaves connections to others, and loses only its own.
        """
        site = BoundedSite(self.site.wrappedFactory, connections_max=4)
        other, _ = self.connect(site, IPv4Address("TCP", "192.0.2.1", 1))
        own = [self.connect(site) for _ in range(3)]
        for _, protocol in own[1:]:
            protocol.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
        _, last = self.connect(site)
        self.assertEqual([each.disconnected for each, _ in own], [True, False, False])
        last.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")  # type: ignore[attr-defined]
        self.assertIsNone(site.buildProtocol(_ADDRESS))
        self.assertFalse(other.disconnected)
