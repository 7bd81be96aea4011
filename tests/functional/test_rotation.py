"""
Tests of the replacement of certificates, authorities, tokens and permissions while a daemon and its clients run.
"""

import os
from pathlib import Path

import trustme

from tests.functional.test_access import AccessTestCase
from tests.support.cli import TWISTED_REGISTRY
from tests.support.guide import blocks, run_shell
from twisted_registry.client import BlockingClient, Tls, TokenFile
from twisted_registry.client.errors import ClientCertificateRefused, NotAuthenticated, NotPermitted

_PAGE = Path(__file__).parents[2] / "docs" / "guides" / "secure.md"

_POLICY = """
[[grants]]
to = "{to}"
role = "{role}"
models = "*"
"""


class RotationTests(AccessTestCase):
    """
    A daemon with client certificates on a second port, tokens and a policy.
    """

    def setUp(self) -> None:
        """
        Start it, with a client that has a token in a file.
        """
        super().setUp()
        self.client_ca = trustme.CA()
        self.write("clients.pem", self.client_ca.cert_pem.bytes())
        self.write_policy("certificate:trainer.example.com", "publisher")
        self.write("trainer.token", self.add_token("trainer", "publisher", "*").encode() + b"\n")
        tls = ("--tls-certificate", "cert.pem", "--tls-key", "key.pem")
        clients = ("--tls-client-ca", "clients.pem", "--tls-client-port", "0")
        self.daemon = self.start(*tls, *clients, "--tokens-file", "tokens", "--policy-file", "policy.toml")
        self.client_port = int(self.daemon.wait_for(r"listening on \S+:(\d+) with client certificates")[1])
        self.running = self.client(self.daemon, TokenFile(self.directory / "trainer.token"))
        self.running.ensure_model("m")
        self.tracker = self.running.track("m")
        self.addCleanup(self.tracker.close)
        self.running.publish("m", b"0")
        next(self.tracker)

    def write(self, name: str, content: bytes) -> None:
        """
        Write a file by a rename.
        """
        new_file = self.directory / f"{name}.new"
        new_file.touch(0o600)
        new_file.write_bytes(content)
        new_file.replace(self.directory / name)

    def write_policy(self, to: str, role: str) -> None:
        """
        Write a policy with one grant.
        """
        self.write("policy.toml", _POLICY.format(to=to, role=role).encode())

    def check_running(self) -> None:
        """
        Check that the client that has run from the beginning publishes, without a retry, and its tracker yields.
        """
        published = self.running.publish("m", b"1")
        self.assertEqual(next(self.tracker).version_number, published.version_number)

    def with_certificate(self, authority: trustme.CA) -> BlockingClient:
        """
        Return a client with a certificate of an authority.
        """
        leaf = authority.issue_cert("trainer.example.com")
        tls = Tls(self.ca.cert_pem.bytes(), leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())
        client = BlockingClient(f"localhost:{self.client_port}", tls=tls, retry_seconds=0)
        self.addCleanup(client.close)
        return client

    def test_certificate(self) -> None:
        """
        A new certificate, also of another authority, is used for new connections; clients that trust both authorities
        connect before and after.
        """
        before, self.ca = self.ca, trustme.CA()
        both = Tls(root_certificates=before.cert_pem.bytes() + self.ca.cert_pem.bytes())
        early = BlockingClient(f"localhost:{self.daemon.port}", tls=both, token=self.token, retry_seconds=0)
        self.addCleanup(early.close)
        early.model("m")
        self.write_certificate()
        self.daemon.wait_for("the certificate cert.pem was read again")
        self.client(self.daemon, self.token).model("m")
        late = BlockingClient(f"localhost:{self.daemon.port}", tls=both, token=self.token, retry_seconds=0)
        self.addCleanup(late.close)
        late.model("m")
        early.model("m")
        self.check_running()

    def test_client_authority(self) -> None:
        """
        Certificates of both authorities are accepted while the file has both, and then only those of the new one.
        """
        other = trustme.CA()
        self.with_certificate(self.client_ca).publish("m", b"")
        self.write("clients.pem", self.client_ca.cert_pem.bytes() + other.cert_pem.bytes())
        self.daemon.wait_for("the client authorities clients.pem was read again")
        for authority in (self.client_ca, other):
            self.with_certificate(authority).publish("m", b"")
        self.write("clients.pem", other.cert_pem.bytes())
        self.daemon.wait_for("the client authorities clients.pem was read again")
        self.with_certificate(other).publish("m", b"")
        with self.assertRaises(ClientCertificateRefused):
            self.with_certificate(self.client_ca).publish("m", b"")

    def test_token(self) -> None:
        """
        With the page's commands a client goes on with its new token; the old one is valid for the grace, until it is
        revoked.
        """
        old = (self.directory / "trainer.token").read_text().strip()
        rotate = blocks(_PAGE.read_text())[-1].text
        self.assertIn("token rotate", rotate)
        path = f"{os.path.dirname(TWISTED_REGISTRY)}:{os.environ['PATH']}"
        done = run_shell(self.directory, f"set -eu\numask 077\n{rotate}", {"PATH": path})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotEqual((self.directory / "trainer.token").read_text().strip(), old)
        self.daemon.wait_for("the token file tokens was read again")
        self.running.publish("m", b"1")
        self.client(self.daemon, old).publish("m", b"2")
        revoke = f"twisted-registry token revoke {old[4:14]} --file tokens"
        done = run_shell(self.directory, revoke, {"PATH": path})
        self.assertEqual(done.returncode, 0, done.stdout)
        self.daemon.wait_for("the token file tokens was read again")
        self.assertRaises(NotAuthenticated, self.client(self.daemon, old).publish, "m", b"3")
        self.running.publish("m", b"4")

    def test_policy(self) -> None:
        """
        A changed policy counts for connections from before, and one with a mistake leaves the old one in force.
        """
        client = self.with_certificate(self.client_ca)
        client.publish("m", b"")
        self.write_policy("certificate:trainer.example.com", "reader")
        self.daemon.wait_for("the policy policy.toml was read again")
        self.assertRaises(NotPermitted, client.publish, "m", b"")
        client.model("m")
        self.write_policy("certificate:trainer.example.com", "unknown")
        self.daemon.wait_for("what was read before stays in force")
        client.model("m")
        self.check_running()
