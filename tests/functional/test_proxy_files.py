"""
Tests of the configurations of nginx and Envoy in ``deploy/``: gRPC, calls in JSON, events and the page under one name.
"""

import json
import ssl
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, ClassVar

from tests.functional.test_proxies import TOKEN, ProxyCase
from tests.support.daemon import TIMEOUT_SECONDS, wait_until
from tests.support.http_api import http_port
from tests.support.proxies import certify, replaced, start_envoy, start_nginx
from twisted_registry.client import Tls

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = "registry.example.com"


class ProxyFileCase(ProxyCase):
    """
    A registry behind a proxy that serves it under a name, with TLS.
    """

    flags = ("--http-port", "0", "--http-names", NAME)
    file: ClassVar[str]
    listen: ClassVar[str]

    def setUp(self) -> None:
        """
        Start the proxy.
        """
        super().setUp()
        authority = certify(self.folder)
        self.tls = Tls(authority)
        self.context = ssl.create_default_context(cadata=authority.decode())
        wait_until(lambda: "HTTP is served" in self.daemon.log, "HTTP is served")
        changes = {
            f"/etc/{self.make}/": f"{self.folder}/",
            self.listen: self.listen_here(),
            **self.upstreams(http_port(self.daemon.lines)),
        }
        self.begin(replaced((DEPLOY / self.make / self.file).read_text(), changes))

    def listen_here(self) -> str:
        """
        Return the lines that make the proxy listen on its port of this test.
        """
        raise NotImplementedError

    def upstreams(self, http: int) -> dict[str, str]:
        """
        Return the changes that lead to the daemon.
        """
        raise NotImplementedError

    def connection(self) -> HTTPSConnection:
        """
        Make a connection with the proxy.
        """
        return HTTPSConnection("localhost", self.port, timeout=TIMEOUT_SECONDS, context=self.context)

    def ask(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """
        Send a request as a browser does, and return the status and the body.
        """
        sent = {"Host": NAME, "Content-Type": "application/json", **headers}
        with closing(
            HTTPSConnection("localhost", self.port, timeout=TIMEOUT_SECONDS, context=self.context)
        ) as connection:
            connection.request(verb, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def check_http(self) -> None:
        """
        Check that pages and calls are answered under the name, and no changes are made for pages of other sites.
        """
        self.assertEqual(self.ask("GET", "/readyz")[0], 200)
        status, page = self.ask("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn(b"<html", page)
        call = "/api/v1/CreateModel"
        created = self.ask("POST", call, {"model": {"modelId": "walker"}}, Origin=f"https://{NAME}")
        self.assertEqual(created[0], 200, created)
        refused = self.ask("POST", call, {"model": {"modelId": "other"}}, Origin="https://other.example.com")
        self.assertEqual(refused[0], 403, refused)
        self.assertEqual(self.ask("GET", "/readyz", Host="other.example.com")[0], 421)
        status, listed = self.ask("GET", "/api/v1/ListModels", Authorization=f"Bearer {TOKEN[: 15 * 1024]}")
        self.assertEqual([each["modelId"] for each in json.loads(listed)["models"]], ["walker"], status)

    def check_events(self) -> None:
        """
        Check that an event arrives when it is sent, not when a buffer of the proxy is full.
        """
        with closing(
            HTTPSConnection("localhost", self.port, timeout=TIMEOUT_SECONDS, context=self.context)
        ) as connection:
            connection.request("GET", "/api/v1/events", None, {"Host": NAME})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertIn(b"started", self.next_data(answer))
            self.registry().ensure_model("runner")
            self.assertIn(b"runner", self.next_data(answer))

    def next_data(self, answer: Any) -> bytes:
        """
        Return the next event.
        """
        while not (line := answer.readline()).startswith(b"data: "):
            self.assertTrue(line, "the events have ended")
        return bytes(line)


class NginxFileTests(ProxyFileCase):
    """
    nginx.
    """

    make = "nginx"
    start = start_nginx
    file = "registry.conf"
    listen = "listen 443"

    def listen_here(self) -> str:
        """See ``ProxyFileCase.listen_here``."""
        return f"listen 127.0.0.1:{self.port}"

    def upstreams(self, http: int) -> dict[str, str]:
        """See ``ProxyFileCase.upstreams``."""
        return {"127.0.0.1:9000": self.daemon.address, "127.0.0.1:9002": f"127.0.0.1:{http}"}

    def test_all(self) -> None:
        """
        All works through nginx, at one port.
        """
        self.check_http()
        self.check_events()
        self.check_all()


class EnvoyFileTests(ProxyFileCase):
    """
    Envoy.
    """

    make = "envoy"
    start = start_envoy
    file = "registry.yaml"
    listen = "address: 0.0.0.0, port_value: 443"

    def listen_here(self) -> str:
        """See ``ProxyFileCase.listen_here``."""
        return f"address: 127.0.0.1, port_value: {self.port}"

    def upstreams(self, http: int) -> dict[str, str]:
        """See ``ProxyFileCase.upstreams``."""
        return {"port_value: 9000": f"port_value: {self.daemon.port}", "port_value: 9002": f"port_value: {http}"}

    def test_all(self) -> None:
        """
        All works through Envoy, at one port.
        """
        self.check_http()
        self.check_events()
        self.check_all()
