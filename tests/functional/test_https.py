"""
Tests of a daemon that serves HTTP with TLS.
"""

import signal
import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from typing import Any

import trustme

from tests.functional.test_access import TLS_FLAGS, AccessTestCase, served_certificate
from tests.support.client import DEADLINE_SECONDS
from tests.support.daemon import Daemon
from tests.support.http_api import HttpClient, http_port

POLICY = '[[grants]]\nto = "certificate:trainer.example"\nrole = "publisher"\nmodels = "*"\n'


class HttpsTestCase(AccessTestCase):
    """
    A daemon with HTTPS.

    Attributes:
        hosts: the names in its certificate.
    """

    hosts = ("localhost", "127.0.0.1", "registry.example.com")

    def start_https(self, *flags: str) -> Daemon:
        """
        Start it.
        """
        daemon = Daemon(self.directory, [*TLS_FLAGS, "--http-port", "0", *flags], is_forked=True)
        self.addCleanup(daemon.kill)
        daemon.start().wait_for("HTTP is served at https://")
        self.port = http_port(daemon.lines)
        return daemon

    def context(self, *names: str) -> ssl.SSLContext:
        """
        Return a client's context that trusts the authority.

        Args:
            names: those in the client's certificate; without any, it has none.
        """
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if names:
            self.ca.issue_cert(*names).configure_cert(context)
        return context

    def https(self, token: str = "", *names: str) -> HttpClient:
        """
        Return a client.
        """
        return HttpClient(self.port, token, self.context(*names))

    def status_of(self, path: str, host: str = "localhost", **headers: str) -> int:
        """
        Return the status with which a page is answered.
        """
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS, context=self.context())
        with closing(connection):
            connection.request("GET", path, headers={"Host": host, **headers})
            return connection.getresponse().status


class HttpsTests(HttpsTestCase):
    """
    A daemon that serves HTTPS to other machines, with tokens, and without --insecure.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        flags = ("--http-interface", "0.0.0.0", "--tokens-file", "tokens", "--http-names", "proxied.example.com")
        self.daemon = self.start_https(*flags)

    def test_calls(self) -> None:
        """
        Calls and events are served to clients with a token.
        """
        http = self.https(self.token)
        self.assertEqual(http.post("CreateModel", model={"modelId": "m"})[0], 200)
        self.assertEqual(http.get("GetModel", modelId="m")[1]["modelId"], "m")
        with closing(http.events()) as events:
            self.assertIn("started", next(events)[1])
            self.assertEqual(http.post("CreateModel", model={"modelId": "n"})[0], 200)
            self.assertEqual(next(events)[1]["modelId"], "n")
        self.assertEqual(self.https().get("GetModel", modelId="m")[0], 401)

    def test_plain_http(self) -> None:
        """
        A client that does not encrypt is not served, and is shown how to ask.
        """
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)) as connection:
            connection.request("GET", "/livez")
            response = connection.getresponse()
            self.assertEqual((response.status, b"https://" in response.read()), (400, True))

    def test_names(self) -> None:
        """
        Also with access control, a page whose name leads here cannot make a browser read.  Probes by address are
        answered.
        """
        for host in ("registry.example.com", "proxied.example.com:443", f"127.0.0.1:{self.port}", "localhost"):
            self.assertEqual(self.status_of("/readyz", host), 200, host)
        for path in ("/readyz", "/metrics", "/api/v1/ListModels"):
            self.assertEqual(self.status_of(path, "evil.example.com"), 421, path)

    def test_reload(self) -> None:
        """
        New certificates are used, at a signal or by themselves; those that do not fit are not.
        """
        (self.directory / "key.pem").write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())
        before = served_certificate(self.port)
        self.daemon.process.send_signal(signal.SIGHUP)
        self.daemon.wait_for("the private key is not that of the certificate")
        self.assertEqual(served_certificate(self.port), before)
        for send in (lambda: self.daemon.process.send_signal(signal.SIGHUP), lambda: None):
            chain = self.write_certificate().decode()
            send()
            self.daemon.wait_for("cert.pem was read again")
            self.assertEqual(served_certificate(self.port), chain)
            self.assertEqual(self.status_of("/livez"), 200)


class ClientCertificateTests(HttpsTestCase):
    """
    A daemon that knows callers by their certificates.
    """

    def setUp(self) -> None:
        """
        Write a policy.
        """
        super().setUp()
        (self.directory / "policy.toml").write_text(POLICY)

    def test_second_port(self) -> None:
        """
        If gRPC has a second port for certificates, HTTP takes a certificate or a token.
        """
        flags = ("--tls-client-ca", "ca.pem", "--tls-client-port", "0")
        self.start_https(*flags, "--policy-file", "policy.toml", "--tokens-file", "tokens")
        model = {"model": {"modelId": "m"}}
        self.assertEqual(self.https("", "stranger.example").post("CreateModel", **model)[0], 403)
        self.assertEqual(self.https().post("CreateModel", **model)[0], 401)
        self.assertEqual(self.https("", "trainer.example").post("CreateModel", **model)[0], 200)
        self.assertEqual(self.https(self.token).get("GetModel", modelId="m")[0], 200)

    def test_required(self) -> None:
        """
        If all of gRPC's clients need a certificate, so do those of HTTP, whatever else they have; probes do not.
        """
        self.start_https("--tls-client-ca", "ca.pem", "--tokens-file", "tokens", "--policy-file", "policy.toml")
        call: Any = {"model": {"modelId": "m"}}
        status, error = self.https(self.token).post("CreateModel", **call)
        self.assertEqual((status, "certificate" in error["message"]), (401, True))
        self.assertEqual(self.https("", "trainer.example").post("CreateModel", **call)[0], 200)
        self.assertEqual(self.https(self.token).get("WatchEvents")[0], 401)
        statuses = [self.status_of(path, Authorization=f"Bearer {self.token}") for path in ("/livez", "/metrics")]
        self.assertEqual(statuses, [200, 401])


class StartTests(AccessTestCase):
    """
    Starts that are refused.
    """

    def test_exposed(self) -> None:
        """
        A daemon that others could reach by HTTP does not start with TLS alone.
        """
        flags = ("--port=0", "--http-port=0", "--http-interface=0.0.0.0", *TLS_FLAGS)
        self.assert_cannot_start(*flags, said="--http-interface 0.0.0.0 would let other machines connect")
