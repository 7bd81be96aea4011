"""
Tests of the guide on an authority of one's own: its commands run, in its order, and files as step writes them are used.
"""

import os
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from trustme import KeyType

from tests.functional.test_access import AccessTestCase
from tests.functional.test_start_failures import StartFailureTestCase
from tests.support.cli import TWISTED_REGISTRY
from tests.support.daemon import Daemon
from tests.support.guide import blocks, run_shell
from twisted_registry.client import BlockingClient, Tls

_PAGE = Path(__file__).parents[2] / "docs" / "guides" / "own-authority.md"


class OpensslTests(StartFailureTestCase):
    """
    The page's commands of openssl.
    """

    def run_lines(self, text: str) -> str:
        """
        Run a block in a shell that stops at the first error, and return what it prints.
        """
        path = f"{os.path.dirname(TWISTED_REGISTRY)}:{os.environ['PATH']}"
        done = run_shell(self.directory, f"set -eu\n{text}", {"PATH": path})
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_commands(self) -> None:
        """
        The registry starts with the page's certificates without a warning about them, serves a client with one, and
        uses the renewed certificate.
        """
        shell = [block.text for block in blocks(_PAGE.read_text()) if block.language == "sh"]
        authority, server, trainer, start, call, renew = shell
        self.run_lines(authority)
        self.assertIn("cert.pem: OK", self.run_lines(server))
        self.run_lines(trainer)
        self.assertEqual((self.directory / "key.pem").stat().st_mode & 0o077, 0)
        check, _, begin = start.replace("\\\n", " ").partition("twistd --nodaemon")
        self.run_lines(check)
        words = shlex.split(begin)
        daemon = Daemon(self.directory, [*words[words.index("model-registry") + 1 :], "--port", "0"])
        self.addCleanup(daemon.kill)
        daemon.start()
        self.assertIn("TLS certificate for models.example.com, localhost, valid until", daemon.log)
        self.assertNotIn("issuer", daemon.log)
        address = f"localhost:{daemon.port}"
        self.assertEqual(self.run_lines(call.replace("localhost:9000", address)), "walker\tteam=blue\n" * 2)
        self.run_lines(renew)
        daemon.wait_for("the certificate cert.pem was read again")
        self.assertEqual(self.run_lines(call.replace("localhost:9000", address)), "walker\tteam=blue\n" * 2)


class StepTests(AccessTestCase):
    """
    Files in the forms in which step and cert-manager write them.
    """

    def setUp(self) -> None:
        """
        Make an intermediate authority.
        """
        super().setUp()
        self.intermediate = self.ca.create_child_ca()

    def issue(self, key_type: KeyType = KeyType.ECDSA) -> tuple[bytes, bytes]:
        """
        Return a certificate that is valid for a day, followed by the intermediate authority, and its key.
        """
        now = datetime.now(UTC)
        leaf = self.intermediate.issue_cert(
            "localhost", not_before=now - timedelta(minutes=1), not_after=now + timedelta(days=1), key_type=key_type
        )
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        self.assertEqual(chain.count(b"BEGIN CERTIFICATE"), 2)
        return chain, leaf.private_key_pem.bytes()

    def put(self, chain: bytes, key: bytes) -> None:
        """
        Write the files in place, as step does.
        """
        (self.directory / "key.pem").write_bytes(key)
        (self.directory / "cert.pem").write_bytes(chain)

    def check_served(self, daemon: Daemon) -> None:
        """
        Check that a client that trusts the root can make a call over a new connection.
        """
        tls = Tls(root_certificates=self.ca.cert_pem.bytes())
        with BlockingClient(f"localhost:{daemon.port}", tls=tls, token=self.token, retry_seconds=0) as client:
            client.ensure_model("m")

    def test_forms_of_keys(self) -> None:
        """
        Keys of all usual forms are used, with an intermediate authority in the file of the certificate.
        """
        forms: dict[bytes, tuple[KeyType, Callable[[bytes], bytes]]] = {
            b"BEGIN EC PRIVATE KEY": (KeyType.ECDSA, lambda key: key),
            b"BEGIN RSA PRIVATE KEY": (KeyType.RSA, lambda key: key),
            b"BEGIN PRIVATE KEY": (KeyType.ECDSA, _pkcs8),
            b"-----BEGIN PRIVATE KEY": (KeyType.RSA, _pkcs8),
        }
        for form, (key_type, encode) in forms.items():
            chain, key = self.issue(key_type)
            key = encode(key)
            self.assertIn(form, key)
            self.put(chain, key)
            daemon = self.start("--tls-certificate", "cert.pem", "--tls-key", "key.pem", "--tokens-file", "tokens")
            self.check_served(daemon)
            self.assertNotIn("#warn] the certificate", daemon.log)
            self.assertEqual(daemon.stop(), 0)

    def test_renewal_in_place(self) -> None:
        """
        A certificate that is renewed for the same key is used, and so is one for another key, whichever file is written
        first, and in whatever pieces.
        """
        self.put(*self.issue())
        daemon = self.start("--tls-certificate", "cert.pem", "--tls-key", "key.pem", "--tokens-file", "tokens")
        for _ in range(2):
            chain, key = self.issue()
            (self.directory / "cert.pem").write_bytes(chain[:700])
            (self.directory / "key.pem").write_bytes(key)
            (self.directory / "cert.pem").write_bytes(chain)
            daemon.wait_for("the certificate cert.pem was read again")
            self.check_served(daemon)
        self.assertNotIn("#error]", daemon.log)


def _pkcs8(pem: bytes) -> bytes:
    key = load_pem_private_key(pem, password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
