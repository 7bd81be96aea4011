"""
Tests of the errors for answers of proxies, in the words of gRPC or Envoy.
"""

from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client import errors
from twisted_registry.client._transport.proxies import error_of_long_token, error_of_proxy

CODE = grpc.StatusCode
NOT_CONNECTED = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "


class ProxyTests(SynchronousTestCase):
    """
    Texts of statuses.
    """

    def check(self, code: grpc.StatusCode, text: str, kind: Any, *said: str) -> None:
        """
        Check the error for a status.
        """
        error = error_of_proxy(code, text, "host:1")
        self.assertIs(type(error), kind, text)
        for part in ("host:1", *said):
            self.assertIn(part, str(error))

    def test_proxy_that_the_environment_names(self) -> None:
        """
        If a forward proxy refuses to connect, the error is permanent; if it fails to, the registry counts as absent.
        """
        text = f"{NOT_CONNECTED}HTTP proxy returned response code "
        for status in (403, 407):
            self.check(CODE.UNAVAILABLE, f"{text}{status}", errors.ProxyRefused, f"HTTP {status}", "no_proxy")
        for status in (429, 502, 503):
            self.check(CODE.UNAVAILABLE, f"{text}{status}", errors.Unreachable, f"HTTP {status}", "https_proxy")

    def test_old_http(self) -> None:
        """
        A server that only speaks HTTP/1.1 is not a registry; an overloaded one may be in front of one.
        """
        text = f"{NOT_CONNECTED}Trying to connect an http1.x server (HTTP status "
        self.check(CODE.UNAVAILABLE, f"{text}400)", errors.ProxyRefused, "HTTP/2", "HTTP 400")
        self.check(CODE.UNAVAILABLE, f"{text}503)", errors.Unreachable, "HTTP 503")

    def test_statuses_within_other_words(self) -> None:
        """
        A status is found if gRPC also reports a failed write.
        """
        text = "Error in HTTP transport completing operation: (Pending writes failed due to stream closure "
        self.check(CODE.UNKNOWN, f"{text}(Received http2 header with status: 413))", errors.ProxyRefused, "HTTP 413")

    def test_envoy(self) -> None:
        """
        Envoy's own texts, without an HTTP status, are recognized.
        """
        self.check(CODE.UNKNOWN, "Payload Too Large", errors.ProxyRefused, "HTTP 413")
        for text in ("no healthy upstream", "upstream connect error or disconnect/reset before headers"):
            self.check(CODE.UNAVAILABLE, text, errors.ProxyUnavailable, text, "proxy")

    def test_other_words(self) -> None:
        """
        Other texts do not count as answers of a proxy.
        """
        for code, text in ((CODE.UNAVAILABLE, "Socket closed"), (CODE.UNKNOWN, "too large"), (CODE.NOT_FOUND, "")):
            self.assertIsNone(error_of_proxy(code, text, "host:1"))


class LongTokenTests(SynchronousTestCase):
    """
    Connections lost when a token is sent.
    """

    def error(self, text: str, token_bytes: int) -> errors.RegistryError:
        """
        Return the error for a lost connection.
        """
        return error_of_long_token(errors.Unavailable(text), "host:1", token_bytes)

    def test_said_by_the_proxy(self) -> None:
        """
        If nginx or Envoy say that headers were too large, the error is permanent.
        """
        for code in (9, 11):
            error = self.error(f"lost (Socket closed (GOAWAY received; Error code: {code}; Debug Text: ))", 16_000)
            self.assertIs(type(error), errors.ProxyRefused)
            self.assertIn("large_client_header_buffers", str(error))

    def test_unsaid(self) -> None:
        """
        If the reason is unknown, the error names the long token as a possible one.
        """
        error = self.error("lost (Socket closed)", 16_000)
        self.assertIs(type(error), errors.Unavailable)
        for part in ("lost", "16000 bytes", "large_client_header_buffers"):
            self.assertIn(part, str(error))

    def test_something_else(self) -> None:
        """
        A short token is not blamed, nor a long one if the server complains about pings.
        """
        pings = "GOAWAY received; Error code: 11; Debug Text: too_many_pings)"
        for text, size in (("lost (Socket closed)", 100), (pings, 16_000), ("lost (deadline)", 16_000)):
            self.assertEqual(str(self.error(text, size)), text)
