"""
Errors of connections with TLS and access control: each says what is missing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trustme

from tests.functional.test_access import AccessTestCase
from tests.support.cli import invoke
from tests.support.daemon import Daemon
from twisted_registry.client import BlockingClient, Tls, errors

_TLS_FLAGS = ("--tls-certificate", "cert.pem", "--tls-key", "key.pem")

LONG_SECONDS = 600.0
"""Longer than the time limit of a test: the errors are raised without a retry."""


class ConnectionErrorTests(AccessTestCase):
    """
    Clients that lack something.
    """

    def error(self, daemon: Daemon, retry_seconds: float = 0.0, **options: Any) -> Exception:
        """
        Return the error of a call.
        """
        with BlockingClient(f"localhost:{daemon.port}", retry_seconds=retry_seconds, **options) as client:
            try:
                client.model("m")
            except errors.RegistryError as error:
                return error
        raise AssertionError("the call succeeded")

    def check_text(self, error: Exception, kind: type[Exception], *parts: str) -> None:
        """
        Check the class of an error, and that its text contains some parts.
        """
        self.assertIs(type(error), kind, str(error))
        for part in parts:
            self.assertIn(part, str(error))

    def trusted(self, **more: Any) -> Tls:
        """
        Return the certificates of a client that trusts the daemon.
        """
        return Tls(root_certificates=self.ca.cert_pem.bytes(), **more)

    def test_without_tls(self) -> None:
        """
        A client without TLS learns at once that the server speaks TLS, also at a port for client certificates, and so
        does a health check.
        """
        for flags in ((), ("--tls-client-ca", "ca.pem")):
            daemon = self.start(*_TLS_FLAGS, *flags)
            error = self.error(daemon, LONG_SECONDS)
            self.check_text(
                error, errors.TlsFailed, "speaks TLS, and the client does not", "root_certificates=", "--tls-ca"
            )
            done = invoke("", "health", "--server", f"localhost:{daemon.port}")
            self.assertIn("it speaks TLS, and the client does not", done.stderr)
            self.assertEqual(done.exit_code, 3)
            daemon.kill()

    def test_streams(self) -> None:
        """
        Streams of events, trackers and transfers report the same as other calls.
        """
        daemon = self.start(*_TLS_FLAGS)
        with BlockingClient(f"localhost:{daemon.port}", retry_seconds=0.0) as client:
            for stream in (client.events(), client.track("m"), client.retrieve_chunks("m", 1)):
                error = self.assertRaises(errors.TlsFailed, next, stream)
                self.assertIn("speaks TLS, and the client does not", str(error))
            self.assertRaises(errors.TlsFailed, client.publish, "m", b"")

    def test_server_without_tls(self) -> None:
        """
        A client with TLS learns at once that the server does not speak TLS.
        """
        error = self.error(self.start(), LONG_SECONDS, tls=self.trusted())
        self.check_text(error, errors.TlsFailed, "does not speak TLS; connect without TLS")

    def test_unknown_authority(self) -> None:
        """
        The error for an unknown authority names the option for it.
        """
        daemon = self.start(*_TLS_FLAGS)
        error = self.error(daemon, LONG_SECONDS, tls=Tls(root_certificates=trustme.CA().cert_pem.bytes()))
        self.check_text(error, errors.CertificateRefused, "issuer", "root_certificates, --tls-ca")
        self.assertNotIn("server_name", str(error))

    def test_other_name(self) -> None:
        """
        The error for a certificate for another name has the names in it, and the expected one.
        """
        self.write_certificate_for("models.example.com", "192.0.2.1")
        error = self.error(self.start(*_TLS_FLAGS), LONG_SECONDS, tls=self.trusted())
        self.check_text(
            error, errors.CertificateRefused, "for models.example.com, 192.0.2.1, not for localhost", "server_name"
        )
        self.assertNotIn("root_certificates", str(error))

    def write_certificate_for(self, *names: str) -> None:
        """
        Write a certificate for other names.
        """
        leaf = self.ca.issue_cert(*names)
        (self.directory / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        (self.directory / "key.pem").write_bytes(leaf.private_key_pem.bytes())

    def test_client_certificate(self) -> None:
        """
        The error says that a client certificate is missing, or that the client's is not accepted.
        """
        daemon = self.start(*_TLS_FLAGS, "--tls-client-ca", "ca.pem")
        error = self.error(daemon, tls=self.trusted())
        self.check_text(error, errors.ClientCertificateRefused, "requires a client certificate", "--tls-cert")
        other = trustme.CA().issue_cert("trainer.example.com")
        own = {"certificate_chain": other.cert_chain_pems[0].bytes(), "private_key": other.private_key_pem.bytes()}
        error = self.error(daemon, tls=self.trusted(**own))
        self.check_text(error, errors.ClientCertificateRefused, "does not accept the client's certificate")

    def test_other_key(self) -> None:
        """
        If the key of the client is not that of its certificate, the error says so at once.
        """
        one, other = (self.ca.issue_cert("trainer.example.com") for _ in range(2))
        own = {"certificate_chain": one.cert_chain_pems[0].bytes(), "private_key": other.private_key_pem.bytes()}
        error = self.error(self.start(*_TLS_FLAGS), LONG_SECONDS, tls=self.trusted(**own))
        self.check_text(error, errors.TlsFailed, "the private key is that of the client certificate")

    def test_token(self) -> None:
        """
        At a shell, the errors for a token that is missing, cut off or of another kind say what is wrong, and name the
        command that keeps another one.
        """
        daemon = self.start(*_TLS_FLAGS, "--tokens-file", "tokens")
        cases: Mapping[str, str] = {
            "": "this registry must know who calls; send a token",
            self.token[:-6]: "cut off or mistyped",
            "a-token-of-another-kind": "not of a kind that this registry knows",
        }
        for token, said in cases.items():
            done = invoke(
                f"localhost:{daemon.port}",
                "ls",
                "--tls-ca",
                str(self.directory / "ca.pem"),
                TWISTED_REGISTRY_TOKEN=token,
            )
            self.assertEqual((done.exit_code, done.stdout), (1, ""))
            self.assertIn(said, done.stderr)
            self.assertIn("run 'twisted-registry login'", done.stderr)
            self.assertNotIn(self.token[20:40], done.stderr)

    def test_token_file(self) -> None:
        """
        A token file that cannot be read is named, and nothing is said of the registry, which was not called.
        """
        done = invoke("localhost:1", "ls", "--token-file", "no-such-file")
        self.assertEqual(done.exit_code, 1)
        self.assertEqual(
            done.stderr,
            "twisted-registry: there is no token to send: the file no-such-file cannot be read: No such file or "
            "directory\n",
        )
        self.assertFalse(Path("no-such-file").exists())
