"""
Tests of clients that try to do with less: older TLS, none, other certificates, names that nobody checked.
"""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import trustme
from twisted.trial.unittest import SkipTest

from tests.functional.test_access import AccessTestCase
from tests.robustness.wire.raw_calls import RawConnection
from tests.support.client import DEADLINE_SECONDS
from twisted_registry.protocol.messages import common

_TLS_FLAGS = ("--tls-certificate", "cert.pem", "--tls-key", "key.pem")
_VERSION = "/cogmentAPI.ModelRegistrySP/Version"
_INFOS = "/cogmentAPI.ModelRegistrySP/RetrieveVersionInfos"


class DowngradeCase(AccessTestCase):
    """
    Clients of gRPC and of bare sockets.
    """

    def code(self, channel: grpc.Channel, *metadata: tuple[str, str], path: str = _VERSION) -> grpc.StatusCode:
        """
        Make a small call, close the channel, and return the call's code.
        """
        with channel:
            call: Any = channel.unary_unary(path, bytes, bytes)
            try:
                call(b"", metadata=metadata, timeout=DEADLINE_SECONDS)
            except grpc.RpcError as error:
                code: grpc.StatusCode = error.code()
                return code
        return grpc.StatusCode.OK

    def bearer(self) -> tuple[str, str]:
        """
        Return the metadatum with the valid token.
        """
        return "authorization", f"Bearer {self.token}"

    def connect(self, port: int) -> socket.socket:
        """
        Connect without TLS.
        """
        connected = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        self.addCleanup(connected.close)
        return connected

    def read_to_end(self, connected: socket.socket) -> bytes:
        """
        Return what comes until the server disconnects.
        """
        received = b""
        try:
            while data := connected.recv(65536):
                received += data
        except ConnectionResetError:
            pass
        return received


class ServerTests(DowngradeCase):
    """
    A daemon with TLS and tokens.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.daemon = self.start(*_TLS_FLAGS, "--tokens-file", "tokens")

    def handshake(self, lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> str | None:
        """
        Connect with versions of TLS, and return the one that is used.
        """
        context = ssl.create_default_context(cadata=self.ca.cert_pem.bytes().decode())
        context.set_ciphers("ALL:@SECLEVEL=0")  # else the client itself refuses old versions
        context.set_alpn_protocols(["h2"])
        context.minimum_version, context.maximum_version = lowest, highest
        with context.wrap_socket(self.connect(self.daemon.port), server_hostname="localhost") as encrypted:
            return encrypted.version()

    def test_versions(self) -> None:
        """
        TLS 1.2 and 1.3 are spoken; the server refuses TLS 1.0 and 1.1.
        """
        versions = ssl.TLSVersion
        self.assertEqual(self.handshake(versions.TLSv1, versions.TLSv1_3), "TLSv1.3")
        self.assertEqual(self.handshake(versions.TLSv1, versions.TLSv1_2), "TLSv1.2")
        for version in (versions.TLSv1, versions.TLSv1_1):
            error = self.assertRaises(OSError, self.handshake, version, version)
            is_of_server = isinstance(error, ConnectionResetError | ssl.SSLEOFError) or "ALERT" in str(error)
            self.assertTrue(is_of_server, error)

    def test_plaintext(self) -> None:
        """
        Bare HTTP/2 gets no answer at the port with TLS, with a valid token either, and others are served.
        """
        raw = RawConnection(self.daemon.port)
        self.addCleanup(raw.close)
        key, value = self.bearer()
        request = common.VersionRequest().SerializeToString()
        self.assertIsNone(raw.call(_VERSION, [(key, value.encode())], request))
        self.client(self.daemon, self.token).ensure_model("m")

    def test_other_server(self) -> None:
        """
        A client does not send its token to a server whose certificate it cannot verify.
        """
        others = grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes())
        channel = grpc.secure_channel(f"localhost:{self.daemon.port}", others)
        self.assertEqual(self.code(channel, self.bearer()), grpc.StatusCode.UNAVAILABLE)


class PlaintextTests(DowngradeCase):
    """
    A daemon with tokens, and without TLS.
    """

    def test_tls(self) -> None:
        """
        TLS fails at the port without TLS, and others are served.
        """
        daemon = self.start("--tokens-file", "tokens")
        trusted = grpc.ssl_channel_credentials(self.ca.cert_pem.bytes())
        channel = grpc.secure_channel(f"localhost:{daemon.port}", trusted)
        self.assertEqual(self.code(channel, self.bearer()), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(self.code(grpc.insecure_channel(daemon.address), self.bearer()), grpc.StatusCode.OK)

    def test_upgrade(self) -> None:
        """
        HTTP/1.1 is not upgraded to HTTP/2.
        """
        daemon = self.start("--tokens-file", "tokens")
        connected = self.connect(daemon.port)
        connected.sendall(
            b"POST " + _VERSION.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertNotIn(b"101", self.read_to_end(connected))

    def test_token_from_elsewhere(self) -> None:
        """
        A token that comes in the clear from another machine's address is refused, and the log names it by its id.
        """
        address = own_address()
        daemon = self.start("--tokens-file", "tokens", "--interface", "0.0.0.0", "--insecure")
        channel = grpc.insecure_channel(f"{address}:{daemon.port}")
        self.assertEqual(self.code(channel, self.bearer()), grpc.StatusCode.UNAUTHENTICATED)
        line = daemon.wait_for("unencrypted from another machine; revoke it").string
        self.assertIn(self.token.split("_")[1], line)
        self.assertNotIn(self.token, daemon.log)
        channel = grpc.insecure_channel(f"127.0.0.1:{daemon.port}")
        self.assertEqual(self.code(channel, self.bearer()), grpc.StatusCode.OK)


def own_address() -> str:
    """
    Return an address of this machine that is not a loopback address.

    Raises:
        SkipTest: it has none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a datagram socket only looks for the way
        except OSError:
            raise SkipTest("this machine has no other address") from None
        address = str(probe.getsockname()[0])
    if address.startswith("127."):
        raise SkipTest("this machine has no other address")
    return address


class ClientCertificateTests(DowngradeCase):
    """
    A daemon that knows its callers by certificates, with grants for a name.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        (self.directory / "policy.toml").write_text(
            "".join(
                f'[[grants]]\nto = "certificate:{name}"\nrole = "publisher"\nmodels = "*"\n'
                for name in ("trainer.example.com", "*.example.org")
            )
        )
        self.daemon = self.start(*_TLS_FLAGS, "--tls-client-ca", "ca.pem", "--policy-file", "policy.toml")

    def code_with(self, leaf: trustme.LeafCert | None) -> grpc.StatusCode:
        """
        Make a call with a client certificate that needs a permission, and return its code.
        """
        key = None if leaf is None else leaf.private_key_pem.bytes()
        chain = None if leaf is None else b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        credentials = grpc.ssl_channel_credentials(self.ca.cert_pem.bytes(), key, chain)
        channel = grpc.secure_channel(
            f"localhost:{self.daemon.port}", credentials, [("grpc.use_local_subchannel_pool", 1)]
        )
        return self.code(channel, path=_INFOS)

    def test_connections(self) -> None:
        """
        A client without a certificate cannot connect, nor can one whose certificate is of another authority, has
        expired, or is not valid yet.
        """
        now = datetime.now(UTC)
        day = timedelta(days=1)
        name = "trainer.example.com"
        for leaf in (
            None,
            trustme.CA().issue_cert(name),
            self.ca.issue_cert(name, not_before=now - 2 * day, not_after=now - day),
            self.ca.issue_cert(name, not_before=now + day, not_after=now + 2 * day),
        ):
            self.assertEqual(self.code_with(leaf), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(self.code_with(self.ca.issue_cert(name)), grpc.StatusCode.NOT_FOUND)

    def test_common_name(self) -> None:
        """
        A common name that says what the policy says is nobody: authorities do not check it.
        """
        leaf = self.ca.issue_cert(common_name="trainer.example.com")
        self.assertEqual(self.code_with(leaf), grpc.StatusCode.UNAUTHENTICATED)
        leaf = self.ca.issue_cert("stranger.example.com", common_name="trainer.example.com")
        self.assertEqual(self.code_with(leaf), grpc.StatusCode.PERMISSION_DENIED)

    def test_similar_names(self) -> None:
        """
        A wildcard, a longer or a shorter name, another case, and an address or a mail are other callers.
        """
        for name in (
            "*.example.com",
            "trainer.example.com.evil.example",
            "x.trainer.example.com",
            "example.com",
            "trainer.example.co",
            "trainer@example.com",
            "192.0.2.1",
        ):
            code = self.code_with(self.ca.issue_cert(name))
            self.assertIn(code, (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED), name)

    def test_wildcard(self) -> None:
        """
        A wildcard inside a name of the policy has no meaning: the certificate must have that very name.
        """
        self.assertEqual(self.code_with(self.ca.issue_cert("trainer.example.org")), grpc.StatusCode.PERMISSION_DENIED)
        self.assertEqual(self.code_with(self.ca.issue_cert("*.example.org")), grpc.StatusCode.NOT_FOUND)
