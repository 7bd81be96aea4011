"""
Tests for the authenticator of JSON Web Tokens.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from attrs import evolve
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.access import grant
from tests.support.jwts import (
    AUDIENCE,
    ISSUER,
    FixedKeys,
    SigningIssuer,
    forged,
    key_set,
    keys_of,
    private_key,
    segment,
)
from twisted_registry.access.issuers.authenticator import IssuerTokens
from twisted_registry.access.issuers.issuer import ClaimCondition, ClaimGrants, Issuer, KeySource
from twisted_registry.access.issuers.jwt_keys import KeySet
from twisted_registry.domain.access import Credentials, Identity
from twisted_registry.domain.errors import NotAuthenticated

HOUR = 3600.0


def issuer(**settings: Any) -> Issuer:
    """
    Return an issuer of the policy.
    """
    defaults: dict[str, Any] = {
        "name": "ci",
        "issuer": ISSUER,
        "audiences": frozenset({AUDIENCE}),
        "keys": KeySource(ISSUER),
    }
    return Issuer(**{**defaults, **settings})


class IssuerTokensTestCase(SynchronousTestCase):
    """
    An authenticator with one issuer.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.signing = SigningIssuer()
        self.use([self.signing])

    def use(self, signing: list[SigningIssuer], *, is_alone: bool = True, **settings: Any) -> None:
        """
        Make the authenticator of an issuer with some keys.
        """
        self.keys = FixedKeys(keys_of(signing))
        self.tokens = IssuerTokens(lambda issuer, changed: self.keys, is_alone=is_alone)
        self.tokens.replace([issuer(**settings)])

    def identify(self, token: str) -> Identity | None:
        """
        Return who presents a token.
        """
        return self.tokens.authenticate(Credentials(token))

    def subject(self, token: str) -> str:
        """
        Return the subject of a token that is valid.
        """
        identity = self.identify(token)
        assert identity is not None
        return identity.subject

    def refusal(self, token: str) -> str:
        """
        Return why a token is refused; the text does not contain it.
        """
        text = str(self.assertRaises(NotAuthenticated, self.identify, token))
        for part in token.split("."):
            if len(part) > 8:
                self.assertNotIn(part, text)
        return text


class ValidTokenTests(IssuerTokensTestCase):
    """
    Valid tokens stand for their subject.
    """

    def test_identity(self) -> None:
        """
        The identity has the names of the issuer and of the caller, the id of the token, and ends with it.
        """
        ends = time.time() + 60
        identity = self.identify(self.signing.sign(exp=ends, jti="id-7"))
        self.assertEqual(identity, Identity("jwt", "ci:ann", "id-7", is_of_token=True, ends_seconds=ends))

    def test_algorithms(self) -> None:
        """
        Each algorithm that the policy allows is accepted, with a key that fits.
        """
        for algorithm in ("EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
            signing = SigningIssuer(algorithm)
            self.use([signing], algorithms=frozenset({algorithm}))
            self.assertEqual(self.subject(signing.sign()), "jwt:ci:ann", algorithm)

    def test_ed448(self) -> None:
        """
        EdDSA may use the longer curve, too.
        """
        signing = SigningIssuer("EdDSA", kind="Ed448")
        self.use([signing])
        self.assertEqual(self.subject(signing.sign()), "jwt:ci:ann")
        self.assertIn("signature", self.refusal(SigningIssuer("EdDSA").sign()))

    def test_audiences(self) -> None:
        """
        One of the token's audiences must be one of the registry's.
        """
        self.use([self.signing], audiences=frozenset({"a", "b"}))
        for audiences in ("a", ["b"], ["x", "a"]):
            self.assertEqual(self.subject(self.signing.sign(aud=audiences)), "jwt:ci:ann")

    def test_types(self) -> None:
        """
        Identity and access tokens are accepted, whatever the case of their type, and those without one.
        """
        for type in ("JWT", "jwt", "at+jwt", "JOSE", ""):
            self.assertEqual(self.subject(self.signing.sign({"typ": type or None})), "jwt:ci:ann")

    def test_small_leeway(self) -> None:
        """
        The issuer's clock may be a little ahead.
        """
        now = time.time()
        self.assertEqual(self.subject(self.signing.sign(nbf=now + 30, iat=now + 30)), "jwt:ci:ann")

    def test_kubernetes(self) -> None:
        """
        The token of a Kubernetes service account is accepted as it is.
        """
        where = ClaimCondition(("kubernetes.io", "namespace"), ("team-a",))
        team_a = grant("publisher", "team-a/*")
        self.use([self.signing], algorithms=frozenset({"ES256"}), grants=[ClaimGrants((where,), (team_a,))])
        now = int(time.time())
        pod: Any = {"namespace": "team-a", "serviceaccount": {"name": "trainer", "uid": "1"}}
        kubernetes = {"kubernetes.io": pod}
        token = self.signing.sign(
            {"typ": None},
            aud=["other", AUDIENCE],
            sub="system:serviceaccount:team-a:trainer",
            iat=now,
            nbf=now,
            exp=now + 3607,
            jti="5d02e3a4-ff4b-4f7c-9e0f-5d7f8c9a1b2c",
            **kubernetes,
        )
        identity = self.identify(token)
        assert identity is not None
        self.assertEqual(identity.subject, "jwt:ci:system:serviceaccount:team-a:trainer")
        self.assertEqual(identity.grants, (team_a,))

    def test_spiffe(self) -> None:
        """
        A JWT-SVID without an issuer belongs to the trust domain of its subject.
        """
        self.use([self.signing], issuer="spiffe://example.org")
        token = self.signing.sign({"typ": None}, iss=None, sub="spiffe://example.org/trainer")
        self.assertEqual(self.subject(token), "jwt:ci:spiffe://example.org/trainer")
        for claims in (
            {"iss": None, "sub": "spiffe://example.org.evil/trainer"},
            {"iss": None, "sub": "spiffe://evil/spiffe://example.org/"},
            {"iss": None, "sub": "spiffe://example.org"},
            {"iss": "spiffe://example.org", "sub": "spiffe://evil/trainer"},
        ):
            self.assertIn("issuer", self.refusal(self.signing.sign(**claims)), claims)

    def test_name_claim(self) -> None:
        """
        Another claim may hold the name; an email address only if the issuer has verified it.
        """
        self.use([self.signing], name_claim="email")
        self.assertEqual(
            self.subject(self.signing.sign(email="a@b.example", email_verified=True)), "jwt:ci:a@b.example"
        )
        for claims in ({}, {"email_verified": False}, {"email_verified": "true"}, {"email_verified": 1}):
            self.assertIn("verified", self.refusal(self.signing.sign(email="a@b.example", **claims)))

    def test_grants(self) -> None:
        """
        Claims give grants if all conditions of one hold.
        """
        member = ClaimCondition(("groups",), ("ml", "team-a/*"))
        admin = ClaimCondition(("is_admin",), (True,))
        reader, writer = grant("reader", "*"), grant("admin", "*")
        self.use([self.signing], grants=[ClaimGrants((member,), (reader,)), ClaimGrants((member, admin), (writer,))])
        for claims, expected in (
            ({}, ()),
            ({"groups": "ml"}, (reader,)),
            ({"groups": ["x", "team-a/y"]}, (reader,)),
            ({"groups": ["team-ab", 1, None, {}]}, ()),
            ({"groups": {"ml": "ml"}}, ()),
            ({"is_admin": True}, ()),
            ({"groups": "ml", "is_admin": True}, (reader, writer)),
            ({"groups": "ml", "is_admin": 1}, (reader,)),
            ({"groups": "ml", "is_admin": "true"}, (reader,)),
        ):
            identity = self.identify(self.signing.sign(**claims))
            assert identity is not None
            self.assertEqual(identity.grants, expected, claims)


class RefusalTests(IssuerTokensTestCase):
    """
    Tokens that are not valid are refused, with a text that says why and does not contain them.
    """

    def test_claims(self) -> None:
        """
        Each claim that does not fit is named.
        """
        now = time.time()
        for claims, hint in (
            ({"exp": None}, "no end"),
            ({"exp": "soon"}, "'exp' is not a time"),
            ({"exp": True}, "'exp' is not a time"),
            ({"exp": [now]}, "'exp' is not a time"),
            ({"exp": now - 1}, "expired at "),
            ({"exp": now - HOUR}, "expired at "),
            ({"exp": -1e300}, "expired at "),
            ({"exp": now + 25 * HOUR}, "more than 24 h from now"),
            ({"exp": now + 100 * 365 * 24 * HOUR}, "more than 24 h from now"),
            ({"exp": 1e300}, "more than 24 h from now"),
            ({"exp": 10**400}, "'exp' is not a time"),
            ({"exp": -(10**400)}, "'exp' is not a time"),
            ({"nbf": now + HOUR}, "clocks"),
            ({"iat": now + HOUR}, "clocks"),
            ({"nbf": 1e300}, "clocks"),
            ({"iat": "now"}, "'iat' is not a time"),
            ({"aud": None}, f"no audience; get one for the audience '{AUDIENCE}'"),
            ({"aud": []}, "no audience"),
            ({"aud": [1]}, "'aud'"),
            ({"aud": {AUDIENCE: 1}}, "'aud'"),
            ({"aud": "other"}, f"audience is 'other'; get one for the audience '{AUDIENCE}'"),
            ({"aud": ["x", f"{AUDIENCE}/"]}, "audience is 'x' or "),
            ({"iss": None}, "issuer"),
            ({"iss": f"{ISSUER}/"}, f"issuer is '{ISSUER}/'"),
            ({"iss": [ISSUER]}, "issuer"),
            ({"sub": None}, "'sub'"),
            ({"sub": ""}, "'sub'"),
            ({"sub": 7}, "'sub'"),
            ({"sub": "a\nb"}, "'sub'"),
            ({"sub": "a" * 1025}, "'sub'"),
        ):
            self.assertIn(hint, self.refusal(self.signing.sign(**claims)), claims)

    def test_not_numbers(self) -> None:
        """
        Times that JSON does not know are refused.
        """
        for text in ("NaN", "Infinity", "1e999", "1" * 5000):
            claims = f'{{"iss": "{ISSUER}", "aud": "{AUDIENCE}", "sub": "a", "exp": {text}}}'.encode()
            self.refusal(forged({"alg": "ES256", "kid": "1"}, claims))

    def test_headers(self) -> None:
        """
        Each part of a header that does not fit is named.
        """
        for header, hint in (
            ({"crit": ["exp"], "exp": 1}, "crit"),
            ({"crit": []}, "crit"),
            ({"typ": "logout+jwt"}, "typ"),
            ({"typ": 1}, "typ"),
            ({"kid": 1}, "key id"),
            ({"kid": ["1"]}, "key id"),
            ({"kid": "a" * 2000}, "key id"),
            ({"alg": None}, "algorithm"),
            ({"alg": 1}, "algorithm"),
            ({"alg": "none"}, "signed with 'none'"),
            ({"alg": "None"}, "signed with 'None'"),
            ({"alg": "HS256"}, "signed with 'HS256'"),
            ({"alg": "ES256K"}, "signed with 'ES256K'"),
        ):
            full = {"alg": "ES256", "kid": "1", **header}
            claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60}
            self.assertIn(hint, self.refusal(forged(full, claims)), header)

    def test_unsigned(self) -> None:
        """
        A token without a signature is refused.
        """
        header, claims, _ = self.signing.sign().split(".")
        self.refusal(f"{header}.{claims}.")

    def test_changed(self) -> None:
        """
        A token whose claims were changed is refused.
        """
        header, _, signature = self.signing.sign().split(".")
        claims = segment({"iss": ISSUER, "aud": AUDIENCE, "sub": "bob", "exp": time.time() + 60})
        self.assertIn("signature", self.refusal(f"{header}.{claims}.{signature}"))

    def test_key_of_another(self) -> None:
        """
        A token that is signed with another key is refused, although it names that of the issuer.
        """
        self.assertIn("signature", self.refusal(SigningIssuer(number=1).sign()))

    def test_hmac_with_public_key(self) -> None:
        """
        The public key is not the secret of an HMAC.
        """
        public = private_key("RS256").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.use([SigningIssuer("RS256")])
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60}
        body = f"{segment({'alg': 'HS256', 'kid': '1'})}.{segment(claims)}"
        signature = hmac.digest(public, body.encode(), hashlib.sha256)
        self.assertIn("HS256", self.refusal(f"{body}.{segment(signature)}"))

    def test_own_key(self) -> None:
        """
        A token cannot bring its own key.
        """
        evil = SigningIssuer(number=1, key_id="evil")
        for header in (
            {"jwk": evil.jwk()},
            {"jku": "http://127.0.0.1:1/keys"},
            {"x5u": "http://127.0.0.1:1/chain"},
            {"jwk": evil.jwk(), "kid": "1"},
        ):
            self.refusal(evil.sign(header))

    def test_key_ids(self) -> None:
        """
        A key's id is looked up, and nothing else: paths and queries are ids that no key has.
        """
        for key_id in ("/dev/null", "../../etc/passwd", "1'--", "https://evil.example", "", "\0", "1 "):
            self.assertIn("which its issuer does not have", self.refusal(self.signing.sign({"kid": key_id})))

    def test_without_key_id(self) -> None:
        """
        A token need not name its key if the issuer has only one that fits.
        """
        token = self.signing.sign({"kid": None})
        self.use([self.signing, SigningIssuer("RS256", "2")])
        self.assertEqual(self.subject(token), "jwt:ci:ann")
        self.use([self.signing, SigningIssuer(key_id="2", number=1)])
        self.assertIn("several", self.refusal(token))

    def test_key_of_another_kind(self) -> None:
        """
        The key's kind must be that of the algorithm.
        """
        self.use([SigningIssuer("RS256"), SigningIssuer("ES384", "2")])
        self.assertIn("does not have", self.refusal(self.signing.sign()))
        self.assertIn("does not have", self.refusal(self.signing.sign({"kid": "2"})))

    def test_key_for_another_algorithm(self) -> None:
        """
        A key may be restricted to one algorithm.
        """
        signing = SigningIssuer("RS256")
        self.keys.keys = KeySet(key_set(signing.jwk(alg="RS512")))
        self.assertIn("does not have", self.refusal(signing.sign()))

    def test_algorithms_of_the_policy(self) -> None:
        """
        The policy's list counts, even if a key fits.
        """
        self.use([self.signing], algorithms=frozenset({"EdDSA", "RS256"}))
        self.assertIn("the policy accepts EdDSA, RS256", self.refusal(self.signing.sign()))

    def test_duplicates(self) -> None:
        """
        A name that stands twice in a header or among claims is refused, also further inside.
        """
        header, claims, signature = self.signing.sign().split(".")
        for twice in (b'{"alg": "none", "alg": "ES256", "kid": "1"}', b'{"alg": "ES256", "x": {"y": 1, "y": 2}}'):
            self.assertIn("twice", self.refusal(f"{segment(twice)}.{claims}.{signature}"))
        twice_sub = segment(b'{"sub": "a", "sub": "b"}')
        self.assertIn("twice", self.refusal(f"{header}.{twice_sub}.{signature}"))

    def test_spelling(self) -> None:
        """
        A token has one spelling: neither padding, nor other alphabets, nor spare bits.
        """
        header, claims, signature = self.signing.sign().split(".")
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        other = last[last.index(signature[-1]) ^ 1]
        for changed in (f"{signature}==", f"{signature}\n", f"{signature[:-1]}{other}", "+/+/", "é", signature[:-1]):
            self.refusal(f"{header}.{claims}.{changed}")

    def test_depth(self) -> None:
        """
        JSON that is nested too deeply is refused.
        """
        deep = b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}"
        self.refusal(forged({"alg": "ES256"}, deep))
        self.refusal(forged(deep, {}))

    def test_not_objects(self) -> None:
        """
        Claims must be an object.
        """
        others: list[object] = [[], "x", 1, None]
        for claims in others:
            self.assertIn("object", self.refusal(forged({"alg": "ES256"}, claims)))


class OtherTokenTests(IssuerTokensTestCase):
    """
    Tokens of other kinds are left to others.
    """

    def test_other_kinds(self) -> None:
        """
        A text that does not look like a JWT is not refused.
        """
        for token in ("", "trg_x", "a.b", "a.b.c.d", "v4.public.abc", "...", "..", "W10.e30.x", "a" * 5 + ".b.c"):
            self.assertIsNone(self.identify(token), token)

    def test_without_issuers(self) -> None:
        """
        Without issuers, no token is one of theirs.
        """
        self.tokens.replace([])
        self.assertIsNone(self.identify(self.signing.sign()))
        self.assertFalse(self.tokens.concerns(Credentials(self.signing.sign())))

    def test_unknown_issuer(self) -> None:
        """
        Beside another authenticator, the tokens of other issuers are left to that.
        """
        self.use([self.signing], is_alone=False)
        self.assertIsNone(self.identify(self.signing.sign(iss="https://other.example")))

    @given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
    def test_any_text(self, text: str) -> None:
        """
        No text stands for anybody.
        """
        self.check_refused(text)

    @given(
        st.dictionaries(
            st.sampled_from(["alg", "kid", "typ", "crit"]), st.none() | st.text() | st.integers() | st.lists(st.text())
        ),
        st.dictionaries(
            st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "jti"]),
            st.none() | st.floats() | st.text() | st.sampled_from([ISSUER, AUDIENCE]) | st.lists(st.text()),
        ),
        st.binary(max_size=80),
    )
    @example(
        {"alg": "ES256", "kid": "1"}, {"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": time.time() + 60}, b"\0" * 64
    )
    def test_any_parts(self, header: Any, claims: Any, signature: bytes) -> None:
        """
        No header, claims and signature that nobody made with a key stand for anybody.
        """
        self.check_refused(forged(header, claims, signature))

    @given(st.binary(max_size=60), st.binary(max_size=60), st.integers(0, 2))
    def test_any_bytes_in_a_token(self, before: bytes, after: bytes, where: int) -> None:
        """
        A token of which a part is replaced by any bytes stands for nobody.
        """
        parts = self.signing.sign().split(".")
        parts[where] = segment(before) + segment(after)
        self.check_refused(".".join(parts))

    def check_refused(self, text: str) -> None:
        """
        Check that a text is refused, or left to others.
        """
        try:
            self.assertIsNone(self.identify(text))
        except NotAuthenticated as error:
            self.assertTrue(str(error))


class ChangeTests(IssuerTokensTestCase):
    """
    Changes of issuers and keys count.
    """

    def setUp(self) -> None:
        """
        Count the changes.
        """
        super().setUp()
        self.changes: list[None] = []
        self.tokens.on_change(lambda: self.changes.append(None))

    def test_rotation(self) -> None:
        """
        A key that is not known is looked for once more.
        """
        new = SigningIssuer(key_id="2", number=1)
        self.keys.after = keys_of([self.signing, new])
        self.assertEqual(self.subject(new.sign()), "jwt:ci:ann")
        self.assertEqual(self.keys.asked, 1)
        self.assertEqual(self.subject(self.signing.sign()), "jwt:ci:ann")
        self.assertEqual(self.keys.asked, 1)

    def test_cheap_checks_first(self) -> None:
        """
        A token that other checks refuse does not make the registry look for keys.
        """
        for claims in ({"aud": "x"}, {"exp": time.time() - 1}, {"iss": "x"}, {"sub": 1}):
            self.refusal(SigningIssuer(key_id="9").sign(**claims))
        self.assertEqual(self.keys.asked, 0)

    def test_removed_issuer(self) -> None:
        """
        Without its issuer, a token is refused, and the change is reported.
        """
        token = self.signing.sign()
        self.subject(token)
        self.tokens.replace([issuer(issuer="https://other.example", keys=KeySource("https://other.example"))])
        self.assertEqual(len(self.changes), 1)
        self.assertIn("policy does not have", self.refusal(token))

    def test_kept_keys(self) -> None:
        """
        The keys of an issuer are kept if the policy changes something else about it.
        """
        made: list[Issuer] = []

        def make(each: Issuer, changed: Callable[[], None]) -> FixedKeys:
            made.append(each)
            return FixedKeys(keys_of([self.signing]))

        tokens = IssuerTokens(make)
        first = issuer()
        tokens.replace([first])
        tokens.replace([evolve(first, audiences=frozenset({"other"}))])
        self.assertEqual(made, [first])
        tokens.replace([evolve(first, keys=KeySource(ISSUER, url="https://keys.example"))])
        self.assertEqual(len(made), 2)

    def test_json(self) -> None:
        """
        The claims of a token are read as UTF-8, escaped or not.
        """
        for claims in ('"sub": "\\u00e4"', '"sub": "ä"'):
            body = f'{{"iss": "{ISSUER}", "aud": "{AUDIENCE}", "exp": {time.time() + 60}, {claims}}}'
            token = self.signing.sign(**json.loads(body))
            self.assertEqual(self.subject(token), "jwt:ci:ä")
