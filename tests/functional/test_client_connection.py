"""
How a client connects: encrypted or not, with a token or without.
"""

import contextlib
import os
import shutil
import ssl
import tempfile
import threading
from pathlib import Path
from socket import SHUT_RDWR, create_connection, create_server, socket
from typing import Any

import grpc
import trustme
from twisted.trial.unittest import SynchronousTestCase

from tests.support.edge import EdgeTestCase
from tests.support.fake_server import FakeServer, refusal
from twisted_registry.client import BlockingClient, Tls, errors
from twisted_registry.protocol.messages import common

AUTHORITY = trustme.CA()

PATIENT_SECONDS = 600
"""How long a client retries errors that it should raise at once, in seconds."""


class TlsProxy:
    """
    A proxy that terminates TLS before a daemon.

    Attributes:
        address: the address for clients.
    """

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port = port
        self._context = context
        self._listener = create_server(("127.0.0.1", 0))
        self.address = f"localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """
        Take no more connections.
        """
        with contextlib.suppress(OSError):
            self._listener.shutdown(SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket) -> None:
        # A client that trusts nobody here, or shows no certificate, is gone in the middle of the handshake.
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(client, server_side=True) as plain,
            create_connection(("127.0.0.1", self._port)) as daemon,
        ):
            threading.Thread(target=self._carry, args=(daemon, plain), daemon=True).start()
            self._carry(plain, daemon)

    def _carry(self, source: socket, target: socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)


def server_context() -> ssl.SSLContext:
    """
    Make what a server of localhost needs.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2"])
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return context


class TlsTests(EdgeTestCase):
    """
    A daemon behind what ends TLS.
    """

    def proxy(self, context: ssl.SSLContext) -> TlsProxy:
        """
        Put it before the daemon.
        """
        proxy = TlsProxy(self.daemon.port, context)
        self.addCleanup(proxy.close)
        return proxy

    def test_encrypted_connection(self) -> None:
        """
        With the authority's certificate, a client works over TLS as it does without.
        """
        tls = Tls(AUTHORITY.cert_pem.bytes())
        with BlockingClient(self.proxy(server_context()).address, tls=tls) as registry:
            registry.save_model("walker")
            registry.publish("walker", b"w" * 10_000_000)
            self.assertEqual(registry.retrieve("walker"), b"w" * 10_000_000)

    def test_stranger(self) -> None:
        """
        A server that the client has no reason to trust is not spoken to.
        """
        tls = Tls(trustme.CA().cert_pem.bytes())
        with BlockingClient(self.proxy(server_context()).address, tls=tls, retry_seconds=PATIENT_SECONDS) as registry:
            for ask in (registry.latest, registry.delete_model, lambda model_id: registry.publish(model_id, b"")):
                error = self.assertRaises(errors.CertificateRefused, ask, "walker")
                self.assertIn("root_certificates", str(error))
            self.assertRaises(errors.CertificateRefused, next, registry.track("walker", wait=True))

    def test_stranger_beside_an_address_that_refuses(self) -> None:
        """
        If one address shows the wrong certificate and another one refuses connections, the error is about the
        certificate, in either order.
        """
        tls = Tls(trustme.CA().cert_pem.bytes(), server_name="localhost")
        shows = f"127.0.0.1:{self.proxy(server_context()).address.rpartition(':')[2]}"
        for address in (f"{shows},127.0.0.1:1", f"127.0.0.1:1,{shows}"):
            with BlockingClient(f"ipv4:{address}", tls=tls, retry_seconds=PATIENT_SECONDS) as registry:
                for ask in (registry.latest, lambda model_id: registry.publish(model_id, b"x")):
                    error = self.assertRaises(errors.CertificateRefused, ask, "walker")
                    self.assertNotIn("refused (ipv4:127.0.0.1:1", str(error))
                self.assertRaises(errors.CertificateRefused, registry.retrieve, "walker", 1)

    def test_server_that_is_away(self) -> None:
        """
        If no certificate is shown, the error is about the connection.
        """
        tls = Tls(AUTHORITY.cert_pem.bytes())
        with BlockingClient("localhost:1", tls=tls, retry_seconds=0) as registry:
            with self.assertRaises(errors.Unreachable) as caught:
                registry.latest("walker")
            self.assertIs(type(caught.exception), errors.Unreachable)

    def test_certificate_of_another(self) -> None:
        """
        A certificate for another name is refused at once, and the error says what can be done.
        """
        tls = Tls(AUTHORITY.cert_pem.bytes(), server_name="registry.example")
        address = self.proxy(server_context()).address
        with BlockingClient(address, tls=tls, retry_seconds=PATIENT_SECONDS) as registry:
            error = self.assertRaises(errors.CertificateRefused, registry.latest, "walker")
            for said in ("another name", "server_name", address):
                self.assertIn(said, str(error))

    def test_client_with_a_certificate(self) -> None:
        """
        A client shows its certificate to a server that asks for it.
        """
        context = server_context()
        context.verify_mode = ssl.CERT_REQUIRED
        AUTHORITY.configure_trust(context)
        address = self.proxy(context).address
        own = AUTHORITY.issue_cert("trainer")
        shown = Tls(AUTHORITY.cert_pem.bytes(), own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
        with BlockingClient(address, tls=shown) as registry:
            self.assertTrue(registry.is_serving())
        with BlockingClient(address, tls=Tls(AUTHORITY.cert_pem.bytes()), retry_seconds=0) as registry:
            self.assertRaises(errors.Unavailable, registry.is_serving)

    def test_not_a_certificate(self) -> None:
        """
        Certificates and keys that gRPC cannot use are refused at once; the error names them and shows no key.
        """
        cases: list[tuple[dict[str, Any], str]] = [
            ({"root_certificates": b"secret"}, "root_certificates"),
            ({"private_key": b"secret", "certificate_chain": b"secret"}, "private_key"),
            ({"private_key": b"-----BEGIN PRIVATE KEY-----"}, "certificate_chain"),
            ({"certificate_chain": b"-----BEGIN CERTIFICATE-----"}, "private_key"),
        ]
        for given, name in cases:
            with self.assertRaises(ValueError) as caught:
                Tls(**given)
            self.assertIn(name, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_name_of_the_server(self) -> None:
        """
        A server can be expected under another name than its address has.
        """
        tls = Tls(AUTHORITY.cert_pem.bytes(), server_name="localhost")
        address = self.proxy(server_context()).address.replace("localhost", "127.0.0.1")
        with BlockingClient(address, tls=tls) as registry:
            self.assertTrue(registry.is_serving())


class TokenTests(SynchronousTestCase):
    """
    Tokens.
    """

    def test_token_goes_with_each_call(self) -> None:
        """
        A token is sent as HTTP's bearer authorization.
        """
        server = FakeServer(Status=lambda request, context: common.StatusReply())
        self.addCleanup(server.stop)
        with BlockingClient(server.address, token="secret") as registry:
            registry.statuses("*")
        self.assertEqual(server.metadata[0]["authorization"], "Bearer secret")

    def test_token_is_not_sent_in_the_clear(self) -> None:
        """
        A token is not sent to another machine unencrypted.
        """
        with self.assertRaises(ValueError):
            BlockingClient("registry.example:9000", token="secret")
        BlockingClient("registry.example:9000", token="secret", tls=Tls()).close()

    def test_token_that_cannot_be_sent(self) -> None:
        """
        A token that holds what cannot be sent, such as a line break from its file, is refused at once.
        """
        for token in ("secret\n", "sécret", "sec\x00ret"):
            with self.assertRaises(ValueError) as caught:
                BlockingClient("localhost:1", token=token)
            self.assertNotIn("ret", str(caught.exception))

    def test_long_token(self) -> None:
        """
        A token of 16 KiB is sent; a longer one is refused at once, with the size there is, and is not shown.
        """
        with self.assertRaises(ValueError) as caught:
            BlockingClient("localhost:1", token="t" * (16 * 1024 + 1))
        self.assertIn("16384 bytes", str(caught.exception))
        self.assertNotIn("ttt", str(caught.exception))
        BlockingClient("localhost:1", token="t" * 16 * 1024).close()

    def test_token_is_not_shown(self) -> None:
        """
        Neither a token nor a key is in what is printed of a client's parts.
        """
        key, chain = b"-----BEGIN PRIVATE KEY----- secret", b"-----BEGIN CERTIFICATE-----"
        self.assertNotIn("secret", repr(Tls(private_key=key, certificate_chain=chain)))

    def test_who_is_not_known_and_who_may_not(self) -> None:
        """
        A client learns whether it is not authenticated, or authenticated and not permitted.
        """
        cases: list[tuple[Any, type[errors.RegistryError]]] = [
            (grpc.StatusCode.UNAUTHENTICATED, errors.NotAuthenticated),
            (grpc.StatusCode.PERMISSION_DENIED, errors.NotPermitted),
        ]
        for code, kind in cases:
            server = FakeServer(Status=refusal(code))
            self.addCleanup(server.stop)
            with BlockingClient(server.address) as registry:
                self.assertRaises(kind, registry.statuses)


class LoopbackTests(SynchronousTestCase):
    """
    Addresses of this machine, while the environment names a proxy.
    """

    VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")

    def setUp(self) -> None:
        """
        Start a server, and have a proxy that takes no connection.
        """
        self.socket = Path(tempfile.mkdtemp()) / "socket"  # the path of trial's own folder is too long for a socket
        self.addCleanup(shutil.rmtree, self.socket.parent)
        self.name = f"registry-{self.socket.parent.name}"
        self.patch(FakeServer, "also", [f"unix:{self.socket}", f"unix-abstract:{self.name}"])
        self.server = FakeServer(Status=lambda request, context: common.StatusReply())
        self.addCleanup(self.server.stop)
        proxy = create_server(("127.0.0.1", 0))
        self.addCleanup(proxy.close)
        for name in self.VARIABLES:
            self.patch_variable(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        self.patch_variable("no_proxy", "")

    def patch_variable(self, name: str, value: str) -> None:
        """
        Set a variable of the environment until the test ends.
        """
        self.addCleanup(os.environ.update, {name: os.environ.get(name, "")})
        os.environ[name] = value

    def test_never_through_a_proxy(self) -> None:
        """
        Addresses of this machine, in all forms, are connected to without the proxy.
        """
        port = self.server.address.rpartition(":")[2]
        for address in (
            f"localhost:{port}",
            f"LOCALHOST:{port}",
            f"127.0.0.1:{port}",
            f"[::ffff:127.0.0.1]:{port}",
            f"dns:localhost:{port}",
            f"dns:///localhost:{port}",
            f"ipv4:127.0.0.1:{port}",
            f"ipv4:127.0.0.1:{port},127.0.0.2:{port}",
            f"ipv6:[::ffff:127.0.0.1]:{port}",
            f"unix:{self.socket}",
            f"unix://{self.socket}",
            f"unix-abstract:{self.name}",
        ):
            with BlockingClient(address, token="secret", deadline_seconds=20, retry_seconds=0) as registry:
                self.assertEqual(registry.statuses(), {}, address)


class AddressesTests(SynchronousTestCase):
    """
    A registry with several addresses, of which not all serve.
    """

    def setUp(self) -> None:
        """
        Start a server.
        """
        self.server = FakeServer(Status=lambda request, context: common.StatusReply())
        self.addCleanup(self.server.stop)

    def test_address_that_refuses(self) -> None:
        """
        If one address refuses connections, the others are tried, in any order.
        """
        for address in ("127.0.0.1:1," + self.server.address, self.server.address + ",127.0.0.1:1"):
            with BlockingClient(f"ipv4:{address}", retry_seconds=0) as registry:
                self.assertEqual(registry.statuses(), {})

    def test_address_that_does_not_answer(self) -> None:
        """
        If one address is silent, or does not even accept connections, the others are tried.
        """
        full = create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(full.close)
        for _ in range(3):  # what comes after these is dropped
            waiting = socket()
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        address = f"ipv4:127.0.0.1:{full.getsockname()[1]},{self.server.address}"
        with BlockingClient(address, deadline_seconds=60, retry_seconds=0) as registry:
            self.assertEqual(registry.statuses(), {})


class DeadlineTests(SynchronousTestCase):
    """
    Servers that do not answer.
    """

    def test_deadline(self) -> None:
        """
        A call that is not answered in time fails, and says whose answer did not come.
        """
        asked = threading.Event()
        over = threading.Event()

        def silent(request: Any, context: Any) -> Any:
            asked.set()
            over.wait()
            return common.StatusReply()

        server = FakeServer(Status=silent)
        self.addCleanup(server.stop)
        self.addCleanup(over.set)
        registry = BlockingClient(server.address, deadline_seconds=3.0)  # connecting counts too
        self.addCleanup(registry.close)
        with self.assertRaises(errors.DeadlineExceeded) as caught:
            registry.statuses()
        self.assertTrue(asked.is_set())
        self.assertIn(server.address, str(caught.exception))

    def test_server_that_is_not_a_registry(self) -> None:
        """
        A server that does not know a call is distinguished from a registry.
        """
        server = FakeServer()
        self.addCleanup(server.stop)
        with BlockingClient(server.address) as registry:
            self.assertRaises(errors.Unsupported, registry.latest, "walker")
