"""
Tests for the registry's own tokens: their form, their file, and their check.
"""

import hmac
import os
import stat
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import given, strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.access.file_kinds import BadFile
from twisted_registry.access.tokens.authenticator import OwnTokens
from twisted_registry.access.tokens.file import (
    TOKEN_FILE,
    TokenRecord,
    editing_tokens,
    parse_tokens,
)
from twisted_registry.access.tokens.token import MalformedToken, Token, public_part
from twisted_registry.domain.access import ROLES, Action, Credentials, Grant, Scope
from twisted_registry.domain.errors import NotAuthenticated

_TOKEN = Token("0123456789", "s" * 43)


def record(token: Token = _TOKEN, **fields: Any) -> TokenRecord:
    """
    Return what is kept of a token.
    """
    return evolve(TokenRecord(token.id, "trainer", token.sha256, "publisher", ("team-a/*",), 1000, None), **fields)


class TokenTests(SynchronousTestCase):
    """
    ``Token`` is made, written and parsed.
    """

    def test_form(self) -> None:
        """
        A token has a prefix that scanners know, its id, its secret and a checksum, all in letters and digits.
        """
        text = Token.make().text
        self.assertRegex(text, "^trg_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}$")
        self.assertNotEqual(text, Token.make().text)

    def test_round_trip(self) -> None:
        """
        A token is parsed as it is written.
        """
        token = Token.make()
        self.assertEqual(Token.parse(token.text), token)

    def test_others(self) -> None:
        """
        A text without the prefix is another kind of token.
        """
        for text in ("", "trg", "ghp_x", "eyJhbGciOi", " " + _TOKEN.text):
            self.assertIsNone(Token.parse(text))

    @given(st.text(max_size=80))
    def test_any_text(self, text: str) -> None:
        """
        No text with the prefix is accepted by chance, and none fails otherwise.
        """
        self.assertRaises(MalformedToken, Token.parse, f"trg_{text}")

    def test_mistyped(self) -> None:
        """
        Each change of a character is noticed.
        """
        text = _TOKEN.text
        for place in range(4, len(text)):
            other = "a" if text[place] != "a" else "b"
            self.assertRaises(MalformedToken, Token.parse, text[:place] + other + text[place + 1 :])
            self.assertRaises(MalformedToken, Token.parse, text[:place])

    def test_public_part(self) -> None:
        """
        The id can be read from a token, also from one that was cut off, and from nothing else.
        """
        for text, expected in ((_TOKEN.text, _TOKEN.id), (_TOKEN.text[:20], _TOKEN.id), ("trg_x", ""), ("secret", "")):
            self.assertEqual(public_part(text), expected)

    def test_not_shown(self) -> None:
        """
        The secret does not appear where the object is printed.
        """
        self.assertNotIn("sss", repr(_TOKEN))


class TokenFileTests(SynchronousTestCase):
    """
    The file of tokens is read, checked and changed.
    """

    def setUp(self) -> None:
        """
        Choose a place for a file.
        """
        self.path = Path(self.mktemp())
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> bytes:
        """
        Return the content of the file, as the daemon reads it.
        """
        return TOKEN_FILE.read(self.path)

    def edit(self, *records: TokenRecord) -> None:
        """
        Replace the tokens of the file.
        """
        with editing_tokens(self.path) as current:
            current[:] = records

    def test_round_trip(self) -> None:
        """
        The tokens that are written are read again, and only its owner may read the file.
        """
        records = [record(), record(Token.make(), expires_seconds=2000, models=("*", "a"))]
        self.edit(*records)
        self.assertEqual(parse_tokens(self.read()), records)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertNotIn(_TOKEN.secret, self.path.read_text())

    def test_replaced(self) -> None:
        """
        A change makes a new file, so a reader of the old one sees all of it; no change, none.
        """
        self.edit(record())
        before = self.path.stat().st_ino
        self.edit(record())
        self.assertEqual(self.path.stat().st_ino, before)
        self.edit()
        self.assertNotEqual(self.path.stat().st_ino, before)
        self.assertEqual(parse_tokens(self.read()), [])

    def test_link(self) -> None:
        """
        A change through a link changes the file that it names.
        """
        self.edit(record())
        link = self.path.with_name("link")
        link.symlink_to(self.path.name)
        with editing_tokens(link) as current:
            current.clear()
        self.assertTrue(link.is_symlink())
        self.assertEqual(parse_tokens(self.read()), [])

    def test_failed_change(self) -> None:
        """
        An error in the middle of a change leaves the file as it was.
        """
        self.edit(record())

        def fail() -> None:
            with editing_tokens(self.path) as current:
                current.clear()
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, fail)
        self.assertEqual(len(parse_tokens(self.read())), 1)

    def test_open_to_others(self) -> None:
        """
        A file that others may read is refused, with the command that repairs it.
        """
        self.edit(record())
        for mode in (0o640, 0o604, 0o666):
            self.path.chmod(mode)
            self.assertIn("chmod 600", str(self.assertRaises(BadFile, self.read)))

    def test_unreadable(self) -> None:
        """
        A directory, and a file that does not exist, are refused.
        """
        self.assertRaises(BadFile, self.read)
        self.path.mkdir(0o700)
        self.assertRaises(BadFile, self.read)

    def test_damaged(self) -> None:
        """
        A damaged file is refused as a whole, with the line.
        """
        line = record().to_json() + "\n"
        for content, hint in (
            (line + "{}\n", "line 2"),
            (line + line, "line 2"),
            (line[:-1], "cut off"),
            (line[:20], "cut off"),
            (line.replace('"models": ["team-a/*"]', '"models": ["team-a*"]'), "line 1"),
            (line.replace("1000", '"1000"'), "line 1"),
            (line.replace("1000", "true"), "line 1"),
            (line.replace(_TOKEN.sha256, "x"), "line 1"),
            (line.replace("trainer", "a\\nb"), "line 1"),
            (line.replace("trainer", "\\ud800"), "line 1"),
            ("[" * 100_000 + "\n", "line 1"),
            ("\n", "line 1"),
        ):
            error = self.assertRaises(BadFile, parse_tokens, content.encode())
            self.assertIn(hint, str(error))
        self.assertRaises(BadFile, parse_tokens, b"\xff\n")

    def test_empty(self) -> None:
        """
        An empty file holds no tokens.
        """
        self.assertEqual(parse_tokens(b""), [])

    def test_cannot_write(self) -> None:
        """
        A change fails if the file cannot be written.
        """
        missing = Path(os.path.join(self.mktemp(), "tokens"))
        with self.assertRaises(BadFile), editing_tokens(missing):
            pass


class OwnTokensTests(SynchronousTestCase):
    """
    ``OwnTokens`` checks tokens.
    """

    def setUp(self) -> None:
        """
        Make an authenticator with one token.
        """
        self.clock = Clock()
        self.roles = dict(ROLES)
        self.tokens = OwnTokens(lambda: self.roles, self.clock.seconds)
        self.tokens.replace({_TOKEN.id: record()})

    def refusal(self, text: str) -> str:
        """
        Return the text with which a token is refused.
        """
        return str(self.assertRaises(NotAuthenticated, self.tokens.authenticate, Credentials(text)))

    def test_valid(self) -> None:
        """
        A valid token stands for its name, and has the grants that were given to it.
        """
        identity = self.tokens.authenticate(Credentials(_TOKEN.text))
        assert identity is not None
        self.assertEqual((identity.subject, identity.token_id), ("token:trainer", _TOKEN.id))
        self.assertEqual(identity.grants, (Grant(ROLES["publisher"], Scope("team-a/", True)),))

    def test_wrong_secret(self) -> None:
        """
        A token with a known id and another secret, and one with an unknown id, are refused alike.
        """
        texts = {
            self.refusal(token.text).replace(token.id, "ID") for token in (Token(_TOKEN.id, "t" * 43), Token.make())
        }
        self.assertEqual(len(texts), 1)
        self.assertIn("ask for a new one", texts.pop())

    def test_comparison(self) -> None:
        """
        Secrets are compared in constant time, those with an unknown id, too, and only their hashes.
        """
        compared: list[tuple[str, str]] = []

        def compare(one: str, other: str) -> bool:
            compared.append((one, other))
            return hmac.compare_digest(one, other)

        known, unknown = Token(_TOKEN.id, "t" * 43), Token.make()
        tokens = OwnTokens(lambda: self.roles, self.clock.seconds, compare)
        tokens.replace({_TOKEN.id: record()})
        for token in (known, unknown):
            self.assertRaises(NotAuthenticated, tokens.authenticate, Credentials(token.text))
        tokens.authenticate(Credentials(_TOKEN.text))
        self.assertEqual([one for one, _ in compared], [known.sha256, unknown.sha256, _TOKEN.sha256])
        self.assertEqual([other for _, other in compared], [_TOKEN.sha256, "0" * 64, _TOKEN.sha256])

    def test_malformed(self) -> None:
        """
        A token that was cut off is refused as such.
        """
        self.assertIn("cut off", self.refusal(_TOKEN.text[:-1]))

    def test_ended(self) -> None:
        """
        A token is refused from its end on.
        """
        self.tokens.replace({_TOKEN.id: record(expires_seconds=10)})
        identity = self.tokens.authenticate(Credentials(_TOKEN.text))
        assert identity is not None
        self.assertEqual(identity.ends_seconds, 10)
        self.clock.advance(10)
        self.assertIn("ended", self.refusal(_TOKEN.text))

    def test_other_kinds(self) -> None:
        """
        Other credentials are left to other authenticators.
        """
        for credentials in (Credentials(), Credentials("eyJhbGciOi"), Credentials("", ("a.example",))):
            self.assertIsNone(self.tokens.authenticate(credentials))

    def test_roles(self) -> None:
        """
        A token may have a role of the policy, and has nothing if the policy lacks it.
        """
        self.tokens.replace({_TOKEN.id: record(role="releaser")})
        for actions in (None, frozenset({Action.ALIAS})):
            if actions is not None:
                self.roles["releaser"] = actions
            identity = self.tokens.authenticate(Credentials(_TOKEN.text))
            assert identity is not None
            self.assertEqual([grant.actions for grant in identity.grants], [] if actions is None else [actions])

    def test_changes(self) -> None:
        """
        A change of the tokens is reported.
        """
        changes: list[None] = []
        self.tokens.on_change(lambda: changes.append(None))
        self.tokens.replace({})
        self.assertEqual(len(changes), 1)
        self.assertIn("revoked", self.refusal(_TOKEN.text))
