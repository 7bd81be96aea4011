"""
Tests for the keys of issuers.
"""

import json
import os
from pathlib import Path
from threading import BoundedSemaphore, Thread
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import DocumentServer
from tests.support.jwts import SigningIssuer, key_set, private_key, public_jwk
from tests.support.logs import LoggedLines
from twisted_registry.access.file_kinds import BadFile
from twisted_registry.access.issuers.issuer import KeySource
from twisted_registry.access.issuers.jwt_keys import BadKey, KeySet
from twisted_registry.access.issuers.keys import FileKeys, RemoteKeys
from twisted_registry.access.issuers.web_documents import CannotFetch, Fetcher
from twisted_registry.domain.errors import Unavailable

URL = "https://issuer.example/keys"


class KeySetTests(SynchronousTestCase):
    """
    ``KeySet`` reads JSON Web Key Sets.
    """

    def notes(self, **members: Any) -> str:
        """
        Return why a key with certain members cannot be used, beside one that can.
        """
        keys = KeySet(key_set(SigningIssuer().jwk(), SigningIssuer(number=1).jwk(**members)))
        self.assertEqual(len(keys.keys), 1)
        return " ".join(keys.notes)

    def test_keys(self) -> None:
        """
        Keys of all kinds are read.
        """
        issuers = [SigningIssuer(name, name) for name in ("EdDSA", "ES256", "ES384", "ES512", "RS256")]
        keys = KeySet(key_set(*(each.jwk() for each in issuers), public_jwk(private_key("Ed448"), None)))
        self.assertEqual([key.id for key in keys.keys], ["EdDSA", "ES256", "ES384", "ES512", "RS256", None])
        self.assertEqual(keys.notes, [])

    def test_other_uses(self) -> None:
        """
        Keys that are not for signatures are skipped without a note; those of JWT-SVIDs are used.
        """
        for members in ({"use": "enc"}, {"use": "x509-svid"}, {"key_ops": ["encrypt"]}):
            self.assertEqual(self.notes(**members), "")
        self.assertEqual(len(KeySet(key_set(SigningIssuer().jwk(use="jwt-svid"))).keys), 1)

    def test_bad_keys(self) -> None:
        """
        Keys that cannot be used are skipped with a note.
        """
        for members, hint in (
            ({"kty": "oct", "k": "AAAA"}, "expected one of RSA, EC, OKP"),
            ({"kty": ["EC"]}, "'kty'"),
            ({"kty": "RSA"}, "it needs the texts n, e"),
            ({"kid": 1}, "'kid'"),
            ({"d": "AAAA"}, "private part"),
            ({"x": 1}, "it needs"),
            ({"x": "AAAA"}, "damaged"),
            ({"x": "é"}, "it needs"),
            ({"crv": "P-384"}, "damaged"),
            ({"crv": "secp256k1"}, "damaged"),
            ({"alg": "HS256"}, "does not fit"),
            ({"alg": "ES384"}, "does not fit"),
            ({"alg": "none"}, "does not fit"),
            ({"alg": 1}, "does not fit"),
        ):
            self.assertIn(hint, self.notes(**members), members)

    def test_rsa_sizes(self) -> None:
        """
        RSA keys that are too small are refused.
        """
        small = public_jwk(private_key("RS256", bits=1024))
        self.assertIn("1024 bits; expected 2048 to 8192", str(self.assertRaises(BadKey, KeySet, key_set(small))))

    def test_bad_sets(self) -> None:
        """
        A document that is not a key set is refused, whatever it is.
        """
        deep = b"[" * 100_000
        many = json.dumps({"keys": [{}] * 257}).encode()
        for content in (b"", b"\xff", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1]}', deep, many):
            self.assertRaises(BadKey, KeySet, content)

    def test_same(self) -> None:
        """
        Sets are compared by their keys, not by their text.
        """
        one, two = SigningIssuer().jwk(), SigningIssuer(key_id="2", number=1).jwk()
        self.assertTrue(KeySet(key_set(one, two)).has_same_keys(KeySet(key_set(two, {**one, "x5t": "y"}))))
        self.assertFalse(KeySet(key_set(one, two)).has_same_keys(KeySet(key_set(one))))
        self.assertFalse(KeySet(key_set(one)).has_same_keys(KeySet(key_set({**one, "kid": "2"}))))


class FileKeysTests(SynchronousTestCase):
    """
    ``FileKeys`` reads keys from a file.
    """

    def setUp(self) -> None:
        """
        Write a file.
        """
        self.path = Path(self.mktemp())
        self.write(key_set(SigningIssuer().jwk()))
        self.changes: list[None] = []

    def write(self, content: bytes) -> None:
        """
        Replace the file.
        """
        new = self.path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(self.path)

    def make(self) -> FileKeys:
        """
        Read the file.
        """
        return FileKeys(self.path, lambda: self.changes.append(None))

    def test_rotation(self) -> None:
        """
        The file is read again when it changes, and the change is reported.
        """
        keys = self.make()
        self.write(key_set(SigningIssuer(key_id="2").jwk()))
        self.assertTrue(keys.is_due())
        keys.refresh()
        self.assertEqual(([key.id for key in keys.newer().keys], len(self.changes)), (["2"], 1))

    def test_damaged(self) -> None:
        """
        A file that cannot be used leaves the keys in force, with an error in the log.
        """
        keys = self.make()
        self.write(b"{")
        lines = LoggedLines(self)
        keys.refresh()
        keys.refresh()
        self.assertEqual([key.id for key in keys.current().keys], ["1"])
        self.assertIn("what was read before stays in force", "\n".join(lines.of("twisted_registry")))
        self.assertEqual(self.changes, [])

    def test_at_first(self) -> None:
        """
        At first, the file must be there, closed to changes by others, and hold keys.
        """
        self.write(b"{}")
        self.assertIn("cannot be used", str(self.assertRaises(BadFile, self.make)))
        self.write(key_set(SigningIssuer().jwk()))
        self.path.chmod(0o666)
        self.assertIn("chmod", str(self.assertRaises(BadFile, self.make)))
        os.remove(self.path)
        self.assertIn("cannot be read", str(self.assertRaises(BadFile, self.make)))


@define
class ScriptedFetcher:
    """
    A fetcher whose answers a test chooses.

    Attributes:
        answer: the next document, or the error.
        urls: what was fetched.
    """

    answer: bytes | Exception = b""
    urls: list[str] = field(factory=list)

    def fetch(self, url: str, ca_file: str = "", token: str = "") -> bytes:
        """See ``Fetcher.fetch``."""
        self.urls.append(url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class RemoteKeysTests(SynchronousTestCase):
    """
    ``RemoteKeys`` keeps keys that are fetched.
    """

    def setUp(self) -> None:
        """
        Make keys whose server answers.
        """
        self.clock = Clock()
        self.fetcher: Any = ScriptedFetcher(key_set(SigningIssuer().jwk()))
        self.changes: list[None] = []
        self.waiting = BoundedSemaphore(2)
        self.keys = self.make(self.fetcher)

    def make(self, fetcher: Any) -> RemoteKeys:
        """
        Make keys with a fetcher.
        """
        source = KeySource("https://issuer.example", url=URL)
        changed = lambda: self.changes.append(None)  # noqa: E731
        return RemoteKeys("ci", source, changed, self.waiting, fetcher, self.clock.seconds)

    def ids(self) -> list[str | None]:
        """
        Return the ids of the keys that are known.
        """
        return [key.id for key in self.keys.current().keys]

    def rotate(self) -> None:
        """
        Let the issuer have another key.
        """
        self.fetcher.answer = key_set(SigningIssuer(key_id="2", number=1).jwk())

    def test_first(self) -> None:
        """
        The keys are fetched once, when they are needed or before.
        """
        self.assertTrue(self.keys.is_due())
        self.assertEqual((self.ids(), self.ids()), (["1"], ["1"]))
        self.assertEqual((self.fetcher.urls, self.keys.is_due()), ([URL], False))

    def test_age(self) -> None:
        """
        They are fetched again after five minutes; a change is reported, and only a change.
        """
        self.keys.refresh()
        self.clock.advance(299)
        self.assertFalse(self.keys.is_due())
        self.clock.advance(1)
        self.assertTrue(self.keys.is_due())
        self.keys.refresh()
        self.assertEqual(self.changes, [])
        self.rotate()
        self.clock.advance(300)
        self.keys.refresh()
        self.assertEqual((self.ids(), len(self.changes)), (["2"], 1))

    def test_unknown_key(self) -> None:
        """
        Keys that do not suffice are fetched again, at most every five seconds.
        """
        self.keys.refresh()
        self.rotate()
        self.clock.advance(4)
        self.assertEqual([key.id for key in self.keys.newer().keys], ["1"])
        self.clock.advance(1)
        self.assertEqual([key.id for key in self.keys.newer().keys], ["2"])
        for _ in range(100):
            self.keys.newer()
        self.assertEqual(len(self.fetcher.urls), 2)

    def test_down(self) -> None:
        """
        While the issuer does not answer, the keys stay in force.  That is logged once, and it is asked again later.
        """
        self.keys.refresh()
        self.fetcher.answer = CannotFetch("the server is down")
        self.clock.advance(300)
        lines = LoggedLines(self)
        self.keys.refresh()
        self.clock.advance(30)
        self.keys.refresh()
        self.assertEqual(self.ids(), ["1"])
        text = "\n".join(lines.of("twisted_registry"))
        self.assertEqual(text.count("those fetched before stay in force"), 1)
        self.assertIn(f"{URL}: the server is down", text)
        self.clock.advance(29)
        self.assertFalse(self.keys.is_due())
        self.clock.advance(1)
        self.assertTrue(self.keys.is_due())
        self.rotate()
        self.keys.refresh()
        self.assertIn("has 1 keys", "\n".join(lines.of("twisted_registry")))

    def test_down_at_first(self) -> None:
        """
        Before there are any keys, it cannot be determined who calls.
        """
        self.fetcher.answer = CannotFetch("the server is down")
        text = str(self.assertRaises(Unavailable, self.keys.current))
        self.assertIn("the server is down", text)
        self.assertRaises(Unavailable, self.keys.current)
        self.assertEqual(len(self.fetcher.urls), 1)

    def test_unknown_key_while_down(self) -> None:
        """
        It cannot be determined then if the issuer has another key by now.
        """
        self.keys.refresh()
        self.fetcher.answer = CannotFetch("the server is down")
        self.clock.advance(10)
        self.assertRaises(Unavailable, self.keys.newer)

    def test_damaged(self) -> None:
        """
        An answer without keys leaves those known in force.
        """
        self.keys.refresh()
        for number, content in enumerate((b"", b"{}", b'{"keys": []}', b"<html>"), 2):
            self.fetcher.answer = content
            self.clock.advance(300)
            self.keys.refresh()
            self.assertEqual(len(self.fetcher.urls), number)
            self.assertEqual(self.ids(), ["1"])

    def test_one_fetch_at_a_time(self) -> None:
        """
        A thread that needs keys while another one fetches them waits for these.
        """
        found: list[KeySet] = []
        threads: list[Thread] = []

        class Slow(ScriptedFetcher):
            """A fetcher that needs keys in another thread while they are fetched."""

            def fetch(fetcher, url: str, ca_file: str = "", token: str = "") -> bytes:  # noqa: N805
                threads.append(Thread(target=lambda: found.append(keys.newer())))
                threads[-1].start()
                return super().fetch(url)

        keys = self.make(Slow(self.fetcher.answer))
        first = keys.current()
        threads[0].join()
        self.assertEqual((found, len(threads)), ([first], 1))

    def test_not_more_waiting(self) -> None:
        """
        If too many threads wait already, the next one is refused at once.
        """
        refusals: list[BaseException] = []

        class Slow(ScriptedFetcher):
            """A fetcher that needs keys in another thread while they are fetched."""

            def fetch(fetcher, url: str, ca_file: str = "", token: str = "") -> bytes:  # noqa: N805
                thread = Thread(target=lambda: refusals.append(self.assertRaises(Unavailable, keys.newer)))
                thread.start()
                thread.join()
                return super().fetch(url)

        self.waiting = BoundedSemaphore(1)
        keys = self.make(Slow(self.fetcher.answer))
        keys.current()
        self.assertIn("being fetched", str(refusals[0]))

    def test_most_waiting(self) -> None:
        """
        Only a few threads fetch keys while a call waits.
        """
        with self.waiting, self.waiting:
            self.assertIn("being fetched", str(self.assertRaises(Unavailable, self.keys.current)))
        self.assertEqual(self.ids(), ["1"])


class DiscoveryTests(SynchronousTestCase):
    """
    The OpenID configuration of an issuer says where its keys are.
    """

    def setUp(self) -> None:
        """
        Start an issuer.
        """
        self.server = DocumentServer()
        self.addCleanup(self.server.stop)
        self.content = key_set(SigningIssuer().jwk())
        self.server.publish(self.content)

    def problem(self, **source: str) -> str:
        """
        Return why the keys cannot be fetched.
        """
        keys = RemoteKeys(
            "ci", KeySource(self.server.url, **source), lambda: None, BoundedSemaphore(1), Fetcher(max_bytes=10_000)
        )
        try:
            keys.current()
        except Unavailable as error:
            return str(error)
        return ""

    def test_found(self) -> None:
        """
        The keys are found.
        """
        self.assertEqual(self.problem(), "")
        self.assertEqual([path for path, _ in self.server.requests], ["/.well-known/openid-configuration", "/keys"])

    def test_token(self) -> None:
        """
        A token of the registry is sent to the issuer, or to the URL of the keys, and nowhere else.
        """
        path = Path(self.mktemp())
        path.write_text("secret\n")
        self.problem(token_file=str(path))
        self.problem(token_file=str(path), url=f"{self.server.url}/keys")
        self.assertEqual([token for _, token in self.server.requests], ["Bearer secret", None, "Bearer secret"])
        self.assertIn("cannot be read", self.problem(token_file="missing"))

    def test_configurations(self) -> None:
        """
        A configuration must be that of the issuer, and name a URL that can be used.
        """
        for publish, hint in (
            ({"issuer": f"{self.server.url}/"}, "exactly so"),
            ({"issuer": "https://evil.example"}, "https://evil.example"),
            ({"keys_url": "http://evil.example/keys"}, "not encrypted"),
            ({"keys_url": "file:///etc/passwd"}, "scheme"),
            ({"keys_url": "https://evil.example/keys"}, "scheme"),
            ({"keys_url": f"{self.server.url}/missing"}, "404"),
        ):
            self.server.publish(self.content, **publish)
            self.assertIn(hint, self.problem(), publish)
        for content in (b"", b"[]", b"{}", b'{"issuer": 1, "jwks_uri": 2}', b"x" * 20_000):
            self.server.answers["/.well-known/openid-configuration"] = content
            self.assertNotEqual(self.problem(), "")
