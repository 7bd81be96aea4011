"""
Tests of the names under which the HTTP server may be asked, and of requests by pages of other sites.
"""

from collections.abc import Sequence

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.web.hosts import HostNames
from twisted_registry.web.pages import LivePage
from twisted_registry.web.site import make_site

HERE = "registry.example.com"


class HostTests(SynchronousTestCase):
    """
    A server with a name in its settings, and a certificate with others.
    """

    def setUp(self) -> None:
        """
        Make a site.
        """
        self.certificate: Sequence[str] = ("Models.example.com", "*.pool.example.com", "192.0.2.1")
        hosts = HostNames([HERE, ""], lambda: self.certificate)
        self.site = make_site({"livez": LivePage()}, Clock(), hosts)

    def status(self, host: str, method: str = "GET", **headers: str) -> int:
        """
        Return the status of a reply.  405 means that a change would have been made.
        """
        protocol, transport = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1)), StringTransport()
        protocol.makeConnection(transport)
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"Host": host, **headers}.items()]
        protocol.dataReceived("\r\n".join([f"{method} /livez HTTP/1.1", *lines, "", ""]).encode())
        self.text = transport.value().decode()
        return int(self.text.split()[1])

    def test_names(self) -> None:
        """
        Names of the settings, of the certificate, and addresses are this server; others are not.
        """
        here = (HERE, "REGISTRY.example.com.:8080", "models.example.com", "a.pool.example.com:80")
        for host in (*here, "localhost", "LocalHost:1", "10.1.2.3:9001", "[::1]:80", "192.0.2.1"):
            self.assertEqual(self.status(host), 200, host)
        other = ("evil.example.com", "pool.example.com", "a.b.pool.example.com", "*.pool.example.com.evil.example.com")
        for host in (*other, f"x.{HERE}", f"{HERE}.evil.example.com", "", "127.0.0.1.evil.example.com", "com", "."):
            self.assertEqual(self.status(host), 421, host)

    def test_advice(self) -> None:
        """
        The refusal names the setting; no header of a proxy counts instead.
        """
        self.assertEqual(self.status("evil.example.com", X_Forwarded_Host=HERE, Forwarded=f"host={HERE}"), 421)
        self.assertIn("--http-names", self.text)

    def test_new_certificate(self) -> None:
        """
        The names are those of the certificate that is in force.
        """
        self.certificate = ("new.example.com",)
        self.assertEqual([self.status(host) for host in ("new.example.com", "models.example.com")], [200, 421])

    def test_pages_of_other_sites(self) -> None:
        """
        A page of another site, or of another port of this machine, can change nothing; a program can.
        """
        self.assertEqual(self.status(HERE, "POST"), 405)
        for site in ("same-origin", "none"):
            self.assertEqual(self.status(HERE, "POST", Sec_Fetch_Site=site, Origin="https://elsewhere"), 405, site)
        for site in ("cross-site", "same-site", ""):
            self.assertEqual(self.status(HERE, "POST", Sec_Fetch_Site=site, Origin=f"http://{HERE}"), 403, site)
        for host, origin in (
            (HERE, f"http://{HERE}"),
            ("localhost:9001", "http://localhost:9001"),
            ("127.0.0.1:9001", f"https://{HERE}"),  # through a proxy
            ("127.0.0.1:9001", "https://models.example.com"),
        ):
            self.assertEqual(self.status(host, "POST", Origin=origin), 405, origin)
        for origin in (
            "http://evil.example.com",
            "http://localhost:8888",
            "http://127.0.0.1:8888",
            "http://192.0.2.77",
            "null",
            "",
            f"http://{HERE}.evil.example.com",
            f"http://{HERE}@evil.example.com",
        ):
            self.assertEqual(self.status("localhost:9001", "DELETE", Origin=origin), 403, origin)
            self.assertEqual(self.status("localhost:9001", "GET", Origin=origin), 200, origin)

    def test_no_permission_across_sites(self) -> None:
        """
        A browser that asks whether another site's page may make a call is not permitted to.
        """
        asked = {"Origin": "http://evil.example.com", "Access_Control_Request_Method": "POST"}
        self.assertEqual(self.status("localhost", "OPTIONS", **asked), 405)
        self.assertNotIn("access-control", self.text.lower())
