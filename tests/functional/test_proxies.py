"""
Registries behind proxies of other makes: as they come, and as the documentation sets them up.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from tests.support.daemon import Daemon, free_port
from tests.support.proxies import Proxy, certify, documented, program, replaced, start_envoy, start_nginx
from tests.support.registry_case import RegistryTestCase
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.client import BlockingClient, Tls, errors

TOKEN = "t" * 16 * 1024
"""The longest there may be."""

LARGE = bytes(range(256)) * 20_000

BUFFER = """
          - name: envoy.filters.http.buffer
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
              max_request_bytes: 1000000
"""
"""The setting that limits Envoy to a megabyte."""

PATIENT_SECONDS = 600


class ProxyCase(RegistryTestCase):
    """
    A daemon behind a proxy.

    @cvar make: the name of its program, without which the tests are skipped.
    """

    keeps_port = True
    make: ClassVar[str]
    start: ClassVar[Callable[[Path, str, int], Proxy]]

    def setUp(self) -> None:
        """
        Start the daemon.
        """
        program(self.make)
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.port = free_port()
        self.tls: Tls | None = None

    def begin(self, configuration: str) -> None:
        """
        Start the proxy.
        """
        self.addCleanup(type(self).start(self.folder, configuration, self.port).stop)

    def documented(self, language: str, changes: dict[str, str]) -> str:
        """
        Return the documented configuration for this daemon, with TLS.
        """
        self.tls = Tls(certify(self.folder))
        return replaced(documented(language), {f"/etc/{self.make}/": f"{self.folder}/", **changes})

    def registry(self, **options: Any) -> BlockingClient:
        """
        Make a client that connects through the proxy.
        """
        registry = BlockingClient(f"localhost:{self.port}", tls=self.tls, **options)
        self.addCleanup(registry.close)
        return registry

    def check_all(self) -> None:
        """
        Check that all works through the proxy, with the longest token and a large version.
        """
        registry = self.registry(token=TOKEN, retry_seconds=0)
        registry.save_model("walker")
        with registry.track("walker", data=True) as tracker:
            registry.publish("walker", LARGE)
            self.assertEqual(next(tracker).data, LARGE)
        registry.store("walker", (LARGE for _ in range(3)), size_bytes=3 * len(LARGE))
        self.assertEqual(registry.retrieve("walker"), LARGE * 3)
        self.assertTrue(registry.is_serving())

    def check_too_large(self) -> None:
        """
        Check that an upload that is too large for the proxy fails at once, and that the error names the setting.
        """
        registry = self.registry(retry_seconds=PATIENT_SECONDS)
        registry.save_model("walker")
        for data in (bytes(1_100_000), LARGE, (LARGE for _ in range(3))):
            size_bytes = None if isinstance(data, bytes) else 3 * len(LARGE)
            with self.assertRaises(errors.ProxyRefused) as caught:
                registry.publish("walker", data, size_bytes=size_bytes)
            for said in ("HTTP 413", "client_max_body_size 0"):
                self.assertIn(said, str(caught.exception))

    def check_registry_away(self) -> None:
        """
        Check that an error says that the proxy is there and the registry is not, and that a restart is waited for.
        """
        self.client.save_model("walker")
        self.daemon.kill()
        with self.assertRaises(errors.ProxyUnavailable) as caught:
            self.registry(retry_seconds=0).model("walker")
        self.assertIn("proxy", str(caught.exception))
        self.daemon = self.start_daemon()
        self.assertEqual(self.registry(retry_seconds=PATIENT_SECONDS).model("walker").model_id, "walker")


class NginxTests(ProxyCase):
    """
    nginx.
    """

    make = "nginx"
    start = start_nginx

    def as_it_comes(self) -> str:
        """
        Return a configuration that sets only the registry's address.
        """
        location = f"location / {{ grpc_pass grpc://{self.daemon.address}; }}"
        return f"server {{ listen 127.0.0.1:{self.port} http2; {location} }}"

    def test_as_documented(self) -> None:
        """
        Behind nginx as the documentation sets it up all works.
        """
        changes = {"127.0.0.1:9000": self.daemon.address, "listen 443": f"listen 127.0.0.1:{self.port}"}
        self.begin(self.documented("nginx", changes))
        self.check_all()

    def test_too_large(self) -> None:
        """
        nginx accepts one megabyte by default; the client's error says so.
        """
        self.begin(self.as_it_comes())
        self.check_too_large()

    def test_too_long_a_token(self) -> None:
        """
        nginx accepts no tokens of 16 KiB by default; the client's error names the setting.
        """
        self.begin(self.as_it_comes())
        with self.assertRaises(errors.RegistryError) as caught:
            self.registry(token=TOKEN, retry_seconds=0).server_versions()
        self.assertIn("large_client_header_buffers", str(caught.exception))

    def test_registry_away(self) -> None:
        """
        If nginx cannot reach the registry, the client reports that and waits for it.
        """
        self.begin(self.as_it_comes())
        self.check_registry_away()


class NginxAccessTests(ProxyCase):
    """
    nginx in front of a registry with tokens.
    """

    make = "nginx"
    start = start_nginx
    flags = ("--tokens-file", "tokens")

    def prepare(self) -> None:
        """
        Write the file of tokens.
        """
        self.directory.mkdir(parents=True)
        token = Token.make()
        with editing_tokens(self.directory / "tokens") as records:
            records.append(TokenRecord(token.id, "trainer", token.sha256, "maintainer", ("team-a/*",), 0, None))
        self.token = token.text

    def begin_as_documented(self, **changes: str) -> None:
        """
        Start nginx as the documentation sets it up.
        """
        listen = {"127.0.0.1:9000": self.daemon.address, "listen 443": f"listen 127.0.0.1:{self.port}"}
        self.begin(self.documented("nginx", {**listen, **changes}))

    def test_token(self) -> None:
        """
        The token of a client reaches the registry, which decides by it, also about a tracker; without one, a client is
        refused by the registry, not by nginx.
        """
        self.begin_as_documented()
        registry = self.registry(token=self.token, retry_seconds=0)
        registry.save_model("team-a/walker")
        with registry.track("team-a/walker", data=True) as tracker:
            registry.publish("team-a/walker", LARGE)
            self.assertEqual(next(tracker).data, LARGE)
        self.assertRaises(errors.NotPermitted, registry.save_model, "team-b/walker")
        error = self.assertRaises(errors.NotAuthenticated, self.registry(retry_seconds=0).model, "team-a/walker")
        self.assertIn("must know who calls", str(error))

    def test_revoked(self) -> None:
        """
        A tracker through nginx ends when its token is revoked.
        """
        self.begin_as_documented()
        registry = self.registry(token=self.token, retry_seconds=0)
        registry.save_model("team-a/walker")
        tracker = registry.track("team-a/walker")
        registry.publish("team-a/walker", b"1")
        next(tracker)
        with editing_tokens(self.directory / "tokens") as records:
            records.clear()
        self.assertRaises(errors.NotAuthenticated, next, tracker)

    def test_gigabyte(self) -> None:
        """
        A version of a gigabyte passes nginx in both directions.
        """
        self.begin_as_documented()
        registry = self.registry(token=self.token, retry_seconds=0)
        registry.save_model("team-a/walker")
        piece = bytes(range(256)) * 2**14
        size_bytes = 256 * len(piece)
        self.assertEqual(size_bytes, 2**30)
        info = registry.store("team-a/walker", (piece for _ in range(256)), size_bytes=size_bytes)
        received = hashlib.sha256()
        for chunk in registry.retrieve_chunks("team-a/walker", info):
            received.update(chunk)
        self.assertEqual(b64encode(received.digest()).decode(), info.sha256)

    def test_encrypted_on_both_sides(self) -> None:
        """
        nginx can connect with TLS, too, as it must to a registry on another machine; it verifies the certificate.
        """
        pem = certify(self.directory)
        (self.directory / "ca.pem").write_bytes(pem)
        other = Path(self.mktemp()).absolute()
        other.mkdir()
        (other / "ca.pem").write_bytes(certify(other))
        own = ("--tls-certificate", "registry.pem", "--tls-key", "registry.key")
        daemon = Daemon(self.directory, ("--archive-dir", "other", *self.flags, *own), is_forked=True)
        self.addCleanup(daemon.kill)
        self.daemon = daemon.start()
        for folder, is_trusted in ((self.directory, True), (other, False)):
            verified = f"""grpc_pass grpcs://registry;
                grpc_ssl_verify on; grpc_ssl_trusted_certificate {folder}/ca.pem; grpc_ssl_name localhost;"""
            self.port, self.folder = free_port(), Path(self.mktemp()).absolute()
            self.folder.mkdir()
            self.begin_as_documented(**{"grpc_pass grpc://registry;": verified})
            registry = self.registry(token=self.token, retry_seconds=0)
            if is_trusted:
                registry.save_model("team-a/walker")
                self.assertEqual(registry.model("team-a/walker").model_id, "team-a/walker")
            else:
                self.assertRaises(errors.ProxyUnavailable, registry.model, "team-a/walker")


class EnvoyTests(ProxyCase):
    """
    Envoy.
    """

    make = "envoy"
    start = start_envoy

    def configuration(self) -> str:
        """
        Return the documented configuration.
        """
        port = self.daemon.address.rpartition(":")[2]
        return self.documented(
            "yaml",
            {
                "address: 127.0.0.1, port_value: 9000": f"address: 127.0.0.1, port_value: {port}",
                "address: 0.0.0.0, port_value: 443": f"address: 127.0.0.1, port_value: {self.port}",
            },
        )

    def test_as_documented(self) -> None:
        """
        Behind Envoy as the documentation sets it up all works.
        """
        self.begin(self.configuration())
        self.check_all()

    def test_too_large(self) -> None:
        """
        The client's error says that Envoy limits the size.
        """
        self.begin(replaced(self.configuration(), {"http_filters:\n": f"http_filters:\n{BUFFER}"}))
        self.check_too_large()

    def test_registry_away(self) -> None:
        """
        If Envoy cannot reach the registry, the client reports that and waits for it.
        """
        self.begin(self.configuration())
        self.check_registry_away()
