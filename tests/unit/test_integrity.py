"""
Tests for the hashes of streams.
"""

import base64
import hashlib

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.integrity import Sha256, Xxh3, xxh3_digest


class IntegrityTests(SynchronousTestCase):
    """
    Hashes of a stream in pieces.
    """

    def test_sha256(self) -> None:
        """
        The text is the SHA-256 of all pieces so far, in standard base64, and more pieces may follow.
        """
        sha256 = Sha256()
        self.assertEqual(sha256.text(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
        for piece in (b"he", bytearray(b"ll"), memoryview(b"o")):
            sha256.update(piece)
        self.assertEqual(sha256.text(), base64.b64encode(hashlib.sha256(b"hello").digest()).decode())
        sha256.update(b"!")
        self.assertEqual(sha256.text(), base64.b64encode(hashlib.sha256(b"hello!").digest()).decode())

    def test_xxh3(self) -> None:
        """
        The XXH3 of a stream is that of its bytes in one buffer.
        """
        xxh3 = Xxh3()
        xxh3.update(b"hel")
        xxh3.update(b"lo")
        self.assertEqual(bytes.fromhex(xxh3.hexdigest()), xxh3_digest(b"hello"))
        self.assertEqual(len(xxh3_digest(b"")), 16)
