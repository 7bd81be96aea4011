"""
Answers of proxies to the client: HTTP statuses.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.http_proxy import OK, HttpProxy
from twisted_registry.client import BlockingClient, errors

PATIENT_SECONDS = 600
"""A time so long that a test with a needless retry exceeds its timeout, in seconds."""

REFUSED: dict[int, tuple[Any, str]] = {
    301: (errors.ProxyRefused, "redirects"),
    400: (errors.ProxyRefused, "HTTP/2"),
    401: (errors.NotAuthenticated, "token"),
    403: (errors.NotPermitted, "403"),
    404: (errors.ProxyRefused, "/cogmentAPI.ModelRegistrySP/"),
    407: (errors.ProxyRefused, "password"),
    408: (errors.ProxyRefused, "client_body_timeout"),
    413: (errors.ProxyRefused, "client_max_body_size 0"),
    414: (errors.ProxyRefused, "large_client_header_buffers"),
    418: (errors.ProxyRefused, "log"),
    431: (errors.ProxyRefused, "large_client_header_buffers"),
    501: (errors.ProxyRefused, "log"),
}
"""Statuses that are answers: what they become, and what is said of what to do."""

PASSING = {429: "no more calls", 500: "log", 502: "is running", 503: "is running", 504: "grpc_read_timeout"}


class StatusTests(SynchronousTestCase):
    """
    A proxy that answers calls with an HTTP status.
    """

    def proxy(self, *answers: int, of_uploads: int | None = None) -> HttpProxy:
        """
        Start it.
        """
        proxy = HttpProxy(answers, of_uploads)
        self.addCleanup(proxy.close)
        return proxy

    def connect(self, proxy: HttpProxy, retry_seconds: float = PATIENT_SECONDS) -> BlockingClient:
        """
        Make a client of it.
        """
        registry = BlockingClient(proxy.address, retry_seconds=retry_seconds)
        self.addCleanup(registry.close)
        return registry

    def test_answers(self) -> None:
        """
        A permanent status is raised at once and names the setting to change.
        """
        for status, (kind, said) in REFUSED.items():
            proxy = self.proxy(status)
            with self.assertRaises(errors.RegistryError) as caught:
                self.connect(proxy).latest("walker")
            self.assertIs(type(caught.exception), kind, status)
            self.assertIn(said, str(caught.exception))
            self.assertIn(f"HTTP {status}", str(caught.exception))
            self.assertIn("proxy", str(caught.exception))
            self.assertEqual(proxy.calls, 1)

    def test_passing_answers(self) -> None:
        """
        A temporary status is retried; the final error names the proxy.
        """
        for status, said in PASSING.items():
            proxy = self.proxy(status, OK)
            self.assertEqual(self.connect(proxy).server_versions(), {})
            self.assertEqual(proxy.calls, 2)
            with self.assertRaises(errors.ProxyUnavailable) as caught:
                self.connect(self.proxy(status), 0).latest("walker")
            self.assertEqual(caught.exception.http_status, status)
            for part in (f"HTTP {status}", "proxy", said):
                self.assertIn(part, str(caught.exception))

    def test_what_is_not_done_twice(self) -> None:
        """
        A deletion is tried again where the proxy has passed nothing on, and only there.
        """
        for status, calls in ((429, 2), (502, 1), (504, 1)):
            proxy = self.proxy(status, OK)
            registry = self.connect(proxy)
            if calls == 1:
                self.assertRaises(errors.ProxyUnavailable, registry.delete_model, "walker")
            else:
                registry.delete_model("walker")
            self.assertEqual(proxy.calls, calls)

    def test_upload_that_is_too_large(self) -> None:
        """
        An upload that the proxy refuses in the middle is reported as too large, even if gRPC has lost the status, and
        not as a creation of unknown outcome.
        """
        pieces = (bytes(100_000) for _ in range(100))
        for data in (bytes(10_000_000), bytearray(1_100_000), pieces):
            registry = self.connect(self.proxy(OK, of_uploads=413))
            with self.assertRaises(errors.ProxyRefused) as caught:
                registry.publish("walker", data, size_bytes=None if data is not pieces else 10_000_000)
            for part in ("HTTP 413", "client_max_body_size 0"):
                self.assertIn(part, str(caught.exception))

    def test_upload_while_the_registry_is_away(self) -> None:
        """
        An upload that the proxy ends in the middle while it cannot reach the registry is tried again.
        """
        registry = self.connect(self.proxy(502, of_uploads=502), retry_seconds=0)
        with self.assertRaises(errors.ProxyUnavailable) as caught:
            registry.publish("walker", bytes(10_000_000))
        self.assertIn("HTTP 502", str(caught.exception))
