"""
Tests for ``twisted_registry.access.certificates``.
"""

from datetime import UTC, datetime, timedelta

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.access.certificates import check_authorities, check_server_certificate, end_of
from twisted_registry.access.file_kinds import BadFile


def chain_of(certificate: trustme.LeafCert) -> bytes:
    """
    Return a certificate with those that lead to its root.
    """
    return b"".join(blob.bytes() for blob in certificate.cert_chain_pems)


class ServerCertificateTests(SynchronousTestCase):
    """
    ``check_server_certificate`` says what is wrong with a certificate.
    """

    def setUp(self) -> None:
        """
        Make a certificate.
        """
        self.ca = trustme.CA()
        self.leaf = self.ca.issue_cert("registry.example", "192.0.2.1")
        self.key = self.leaf.private_key_pem.bytes()

    def problem(self, chain: bytes, key: bytes) -> str:
        """
        Return what is wrong.
        """
        return str(self.assertRaises(BadFile, check_server_certificate, chain, key))

    def test_good(self) -> None:
        """
        A certificate that fits is returned with its names and its end.
        """
        found = check_server_certificate(chain_of(self.leaf), self.key)
        self.assertEqual(found.names, ["registry.example", "192.0.2.1"])
        self.assertEqual(end_of(self.leaf.cert_chain_pems[0].bytes()), found.ends.timestamp())
        self.assertNotIn("PRIVATE", repr(found))

    def test_intermediate(self) -> None:
        """
        A chain with an intermediate authority is in order, or refused.
        """
        leaf = self.ca.create_child_ca().issue_cert("registry.example")
        blobs = [blob.bytes() for blob in leaf.cert_chain_pems]
        self.assertEqual(check_server_certificate(b"".join(blobs), leaf.private_key_pem.bytes()).notes, [])
        other = trustme.CA().cert_pem.bytes()
        self.assertIn("did not issue", self.problem(blobs[0] + other, leaf.private_key_pem.bytes()))
        alone = check_server_certificate(blobs[0], leaf.private_key_pem.bytes())
        self.assertIn("does not contain the issuer", alone.notes[0])

    def test_other_key(self) -> None:
        """
        The key of another certificate is refused.
        """
        other = self.ca.issue_cert("registry.example").private_key_pem.bytes()
        self.assertIn("not that of the certificate", self.problem(chain_of(self.leaf), other))

    def test_encrypted_key(self) -> None:
        """
        An encrypted key is refused with the command that decrypts it.
        """
        key = load_pem_private_key(self.key, None)
        encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
        self.assertIn("openssl", self.problem(chain_of(self.leaf), encrypted))

    def test_time(self) -> None:
        """
        A certificate that has expired, or is not valid yet, is refused with the time.
        """
        now = datetime.now(UTC)
        expired = self.ca.issue_cert("a", not_before=now - timedelta(2), not_after=now - timedelta(1))
        self.assertIn("expired at", self.problem(chain_of(expired), expired.private_key_pem.bytes()))
        early = self.ca.issue_cert("a", not_before=now + timedelta(1), not_after=now + timedelta(2))
        self.assertIn("not valid before", self.problem(chain_of(early), early.private_key_pem.bytes()))

    def test_not_pem(self) -> None:
        """
        Files that hold something else, or nothing, are refused.
        """
        chain = chain_of(self.leaf)
        for wrong in (b"", b"nonsense", self.key, chain[:200], chain.replace(b"M", b"!")):
            self.problem(wrong, self.key)
            self.problem(chain, wrong.replace(self.key, b""))

    def test_unusual_key(self) -> None:
        """
        A key of a kind that gRPC does not use is refused.
        """
        key = ed25519.Ed25519PrivateKey.generate()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
        now = datetime.now(UTC)
        made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(1)).sign(key, None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.assertIn("does not use", self.problem(made.public_bytes(Encoding.PEM), pem))


class AuthoritiesTests(SynchronousTestCase):
    """
    ``check_authorities`` says what is wrong with the authorities of client certificates.
    """

    def test_good(self) -> None:
        """
        Certificates of authorities are accepted.
        """
        check_authorities(trustme.CA().cert_pem.bytes() + trustme.CA().cert_pem.bytes())

    def test_wrong(self) -> None:
        """
        A leaf, expired authorities, and other files are refused.
        """
        ca = trustme.CA()
        self.assertRaises(BadFile, check_authorities, chain_of(ca.issue_cert("a")))
        self.assertRaises(BadFile, check_authorities, b"")
        later = datetime.now(UTC) + timedelta(400_000)
        self.assertRaises(BadFile, check_authorities, ca.cert_pem.bytes(), lambda: later)
