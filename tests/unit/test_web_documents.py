"""
Tests for ``twisted_registry.access.issuers.web_documents``.
"""

import os
import ssl
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import trustme
from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import DocumentServer, redirect
from twisted_registry.access.issuers.web_documents import CannotFetch, Fetcher


class WebDocumentsTests(SynchronousTestCase):
    """
    ``Fetcher`` fetches documents.
    """

    def setUp(self) -> None:
        """
        Start a server without encryption, and without proxies in the environment.
        """
        self.server = self.start()
        self.fetcher = Fetcher()
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "no_proxy"):
            self.patch(os, "environ", {key: value for key, value in os.environ.items() if key != name})

    def start(self, context: ssl.SSLContext | None = None) -> DocumentServer:
        """
        Start a server.
        """
        server = DocumentServer(context)
        self.addCleanup(server.stop)
        return server

    def start_encrypted(self) -> tuple[DocumentServer, str]:
        """
        Start a server with TLS, and return it with the path of its authority.
        """
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        path = Path(self.mktemp())
        authority.cert_pem.write_to_path(str(path))
        return self.start(context), str(path)

    def refusal(self, url: str, fetcher: Fetcher | None = None, ca_file: str = "") -> str:
        """
        Return why a document cannot be fetched.
        """
        return str(self.assertRaises(CannotFetch, (fetcher or self.fetcher).fetch, url, ca_file))

    def test_document(self) -> None:
        """
        A document is fetched, with a token if there is one.
        """
        self.server.answers["/keys"] = b"content"
        self.assertEqual(self.fetcher.fetch(f"{self.server.url}/keys"), b"content")
        self.fetcher.fetch(f"{self.server.url}/keys", token="secret")
        self.assertEqual(self.server.requests, [("/keys", None), ("/keys", "Bearer secret")])

    def test_encrypted(self) -> None:
        """
        A server with TLS needs a certificate of the authorities.
        """
        server, authority = self.start_encrypted()
        server.answers["/keys"] = b"content"
        self.assertEqual(self.fetcher.fetch(f"{server.url}/keys", authority), b"content")
        self.assertIn("CERTIFICATE_VERIFY_FAILED", self.refusal(f"{server.url}/keys").upper().replace(" ", "_"))
        self.assertIn("No such file", self.refusal(f"{server.url}/keys", ca_file="missing.pem"))

    def test_other_urls(self) -> None:
        """
        Other schemes are refused, also what is not encrypted and not from this machine.
        """
        for url in ("http://issuer.example/keys", "file:///etc/passwd", "ftp://127.0.0.1/keys", "", "https://"):
            self.refusal(url)

    def test_too_large(self) -> None:
        """
        A document that is too large is not read to its end.
        """
        self.server.answers["/keys"] = b"x" * 101
        self.assertIn("larger than 100 bytes", self.refusal(f"{self.server.url}/keys", Fetcher(max_bytes=100)))
        self.server.answers["/keys"] = b"x" * 100
        self.assertEqual(len(Fetcher(max_bytes=100).fetch(f"{self.server.url}/keys")), 100)

    def test_endless(self) -> None:
        """
        A document without an end is refused at the limit.
        """

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.end_headers()
            try:
                while not self.server.over.is_set():
                    request.wfile.write(b"x" * 10_000)
            except OSError:
                pass

        self.server.answers["/keys"] = answer
        self.assertIn("larger than", self.refusal(f"{self.server.url}/keys"))

    def test_slow(self) -> None:
        """
        An answer that takes too long is given up, also if bytes of it come all the time.
        """

        def drip(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", "100000")
            request.end_headers()
            try:
                while not self.server.over.wait(0.02):
                    request.wfile.write(b"x")
            except OSError:
                pass

        def drip_headers(request: BaseHTTPRequestHandler) -> None:
            request.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
            try:
                while not self.server.over.wait(0.02):
                    request.wfile.write(b"x")
            except OSError:
                pass

        def wait(request: BaseHTTPRequestHandler) -> None:
            self.server.over.wait()

        for answer in (drip, drip_headers, wait):
            self.server.answers["/keys"] = answer
            self.assertIn("time", self.refusal(f"{self.server.url}/keys", Fetcher(0.3)).replace("longer", "time"))

    def test_slow_encrypted(self) -> None:
        """
        So is one over TLS.
        """
        server, authority = self.start_encrypted()

        def drip(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", "100000")
            request.end_headers()
            try:
                while not server.over.wait(0.02):
                    request.wfile.write(b"x")
            except OSError:
                pass

        server.answers["/keys"] = drip
        self.assertIn("longer than 0.5 s", self.refusal(f"{server.url}/keys", Fetcher(0.5), authority))

    def test_cut_off(self) -> None:
        """
        A document that is cut off is not used.
        """

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", "10")
            request.end_headers()
            request.wfile.write(b"x" * 5)

        self.server.answers["/keys"] = answer
        self.assertIn("lost", self.refusal(f"{self.server.url}/keys"))

    def test_statuses(self) -> None:
        """
        Other statuses are errors.
        """
        self.server.answers["/busy"] = lambda request: request.send_error(503)
        self.assertIn("status 404", self.refusal(f"{self.server.url}/keys"))
        self.assertIn("status 503", self.refusal(f"{self.server.url}/busy"))

    def test_no_server(self) -> None:
        """
        Without a server, the text says so.
        """
        server = DocumentServer()
        server.stop()
        self.assertIn("refused", self.refusal(f"{server.url}/keys"))

    def test_redirects(self) -> None:
        """
        Redirects are followed within the scheme, without the token.
        """
        other = self.start()
        other.answers["/keys"] = b"content"
        self.server.answers["/keys"] = redirect(f"{other.url}/keys")
        self.assertEqual(self.fetcher.fetch(f"{self.server.url}/keys", token="secret"), b"content")
        self.assertEqual(other.requests, [("/keys", None)])

    def test_redirects_elsewhere(self) -> None:
        """
        Redirects to other schemes, to other machines without encryption, and in circles are refused.
        """
        server, authority = self.start_encrypted()
        server.answers["/keys"] = redirect(f"{self.server.url}/keys")
        self.assertIn("another scheme", self.refusal(f"{server.url}/keys", ca_file=authority))
        self.assertEqual(self.server.requests, [])
        for target in ("file:///etc/passwd", "ftp://127.0.0.1/keys", "http://issuer.example/keys", "gopher://x"):
            self.server.answers["/keys"] = redirect(target)
            self.assertIn("redirects", self.refusal(f"{self.server.url}/keys"))
        self.server.answers["/keys"] = redirect("/keys")
        self.assertIn("status 302", self.refusal(f"{self.server.url}/keys"))

    def test_no_proxy_on_this_machine(self) -> None:
        """
        Requests without encryption never goes through a proxy.
        """
        proxy = self.start()
        proxy.answers[f"{self.server.url}/keys"] = b"forged"
        self.server.answers["/keys"] = b"content"
        self.patch(os, "environ", {**os.environ, "http_proxy": proxy.url})
        self.assertEqual(self.fetcher.fetch(f"{self.server.url}/keys"), b"content")
        self.assertEqual(proxy.requests, [])
