"""
Tests of the rules for idempotency keys.
"""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.idempotency import (
    MAX_KEY_CHARACTERS,
    check_idempotency_key,
    check_same_creation,
    key_of_caller,
)
from twisted_registry.domain.models import VersionHeader, VersionInfo
from twisted_registry.protocol.call_metadata import IDEMPOTENCY_KEY_ENTRY, idempotency_key_in

HASH, OTHER_HASH = "A" * 43 + "=", "B" * 43 + "="
HEADER = VersionHeader("m", True, 4, HASH, 0, {"a": "b"})
INFO = VersionInfo("m", 7, 123, True, HASH, 4, {"a": "b"})


class KeyTests(SynchronousTestCase):
    """
    Which texts are idempotency keys.
    """

    def test_allowed(self) -> None:
        """
        A key has 1 to 128 printable ASCII characters.
        """
        for key in ("a", "x" * MAX_KEY_CHARACTERS, "0b5f4b7e-6a51-4a2c-9f0c-2d4d3b1c8e57", "a b/%~"):
            self.assertEqual(check_idempotency_key(key), key)

    def test_refused(self) -> None:
        """
        Every other text is refused, with a reason.
        """
        for key in ("", "x" * (MAX_KEY_CHARACTERS + 1), "a\n", "\x7f", "é", " a", "a ", "a\tb"):
            with self.assertRaises(InvalidRequest) as caught:
                check_idempotency_key(key)
            self.assertIn("idempotency key", str(caught.exception))

    def test_of_callers(self) -> None:
        """
        With access control a key stands for another one for each caller, which is allowed, too; without, for itself.
        """
        self.assertEqual((key_of_caller("key", ""), key_of_caller("", "token:ann")), ("key", ""))
        pairs = [("key", "token:ann"), ("key", "token:bob"), ("yek", "token:ann"), ("key", "certificate:ann")]
        found = {check_idempotency_key(key_of_caller(*pair)) for pair in pairs}
        self.assertEqual(len(found), len(pairs))
        self.assertEqual(key_of_caller("key", "token:ann"), key_of_caller("key", "token:ann"))
        self.assertRaises(InvalidRequest, key_of_caller, " key", "token:ann")

    def test_in_metadata(self) -> None:
        """
        The key is found in a call's metadata, if it is there.
        """
        self.assertEqual(idempotency_key_in([("a", "b"), (IDEMPOTENCY_KEY_ENTRY, "k")]), "k")
        self.assertEqual(idempotency_key_in([("a", "b")]), "")
        self.assertEqual(idempotency_key_in(None), "")


class SameCreationTests(SynchronousTestCase):
    """
    When two creations with the same key are the same.
    """

    def test_same(self) -> None:
        """
        The same header is the same creation, whether or not it declares the hash and the time.
        """
        for header in (HEADER, evolve(HEADER, sha256=""), evolve(HEADER, created_ns=INFO.created_ns)):
            check_same_creation(header, header.sha256, INFO)

    def test_different(self) -> None:
        """
        A creation that differs in anything that a reader of the version sees is refused, with what differs.
        """
        different = {
            "model": evolve(HEADER, model_id="n"),
            "archived": evolve(HEADER, archived=False),
            "size": evolve(HEADER, size_bytes=5),
            "SHA-256": evolve(HEADER, sha256=OTHER_HASH),
            "metadata": evolve(HEADER, metadata={}),
            "creation time": evolve(HEADER, created_ns=1),
        }
        for name, header in different.items():
            with self.assertRaises(InvalidRequest) as caught:
                check_same_creation(header, header.sha256, INFO)
            self.assertIn(f"version 7 of model 'm', which differs in {name};", str(caught.exception))
