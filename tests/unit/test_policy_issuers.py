"""
Tests for the issuers of the policy.
"""

from typing import Any

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.access import grant
from twisted_registry.access.file_kinds import BadFile
from twisted_registry.access.issuers.issuer import ClaimCondition, ClaimGrants, Issuer, KeySource
from twisted_registry.access.policy.file import parse_policy

_LEAST = """
[[issuers]]
name = "ci"
issuer = "https://ci.example"
audiences = "https://registry.example"
"""

_ALL = """
[[issuers]]
name = "cluster"
issuer = "https://kubernetes.default.svc.cluster.local"
audiences = ["a", "b"]
algorithms = ["RS256", "PS256"]
keys_url = "https://kubernetes.default.svc/openid/v1/jwks"
keys_ca_file = "/ca.crt"
keys_token_file = "/token"
name_claim = "email"
max_lifetime_seconds = 7200

[[issuers.grants]]
claims = { groups = ["ml", "x/*"], "kubernetes.io" = { namespace = "team-a" }, admin = true }
role = "publisher"
models = ["team-a/*", "walker"]

[[grants]]
to = ["jwt:cluster:system:serviceaccount:team-a:*", "jwt:*", "jwt:cluster:*"]
role = "reader"
models = "*"
"""


class PolicyIssuersTests(SynchronousTestCase):
    """
    The tables ``[[issuers]]`` are read.
    """

    def issuers(self, text: str) -> list[Issuer]:
        """
        Return the issuers of a policy.
        """
        return list(parse_policy(text.encode()).issuers)

    def problems(self, text: str) -> str:
        """
        Return what is wrong with a policy.
        """
        return "\n".join(self.assertRaises(BadFile, parse_policy, text.encode()).problems)

    def test_least(self) -> None:
        """
        Without keys, they are where the issuer's OpenID configuration says; tokens may last for a day.
        """
        self.assertEqual(
            self.issuers(_LEAST),
            [
                Issuer(
                    name="ci",
                    issuer="https://ci.example",
                    audiences=frozenset({"https://registry.example"}),
                    keys=KeySource("https://ci.example"),
                    algorithms=frozenset({"EdDSA", "ES256", "RS256"}),
                    name_claim="sub",
                    max_lifetime_seconds=24 * 3600,
                    grants=[],
                )
            ],
        )

    def test_all(self) -> None:
        """
        Each key of the table counts.
        """
        name = "https://kubernetes.default.svc.cluster.local"
        conditions = (
            ClaimCondition(("groups",), ("ml", "x/*")),
            ClaimCondition(("kubernetes.io", "namespace"), ("team-a",)),
            ClaimCondition(("admin",), (True,)),
        )
        self.assertEqual(
            self.issuers(_ALL),
            [
                Issuer(
                    name="cluster",
                    issuer=name,
                    audiences=frozenset({"a", "b"}),
                    keys=KeySource(name, "", "https://kubernetes.default.svc/openid/v1/jwks", "/ca.crt", "/token"),
                    algorithms=frozenset({"RS256", "PS256"}),
                    name_claim="email",
                    max_lifetime_seconds=7200,
                    grants=[
                        ClaimGrants(conditions, (grant("publisher", "team-a/*"), grant("publisher", "walker"))),
                    ],
                )
            ],
        )

    def test_places_of_keys(self) -> None:
        """
        An issuer that is not a URL needs a file or a URL of keys; without TLS, only this machine has keys.
        """
        for line in (
            'keys_file = "keys.json"',
            'keys_url = "http://127.0.0.1:8080/keys"',
            'keys_url = "http://[::1]/keys"',
            'keys_url = "http://localhost/keys"',
        ):
            text = _LEAST.replace("https://ci.example", "spiffe://ci.example") + line
            self.assertEqual(self.issuers(text)[0].is_trust_domain, True, line)

    def test_mistakes(self) -> None:
        """
        Each mistake is named with its place and what is expected.
        """
        grants = "[[issuers.grants]]\nrole = 'reader'\nmodels = '*'\n"
        for text, hint in (
            (_LEAST.replace("audiences", "audience"), "did you mean 'audiences'"),
            (_LEAST.replace('audiences = "https://registry.example"', ""), "issuer 1 (ci) needs 'audiences'"),
            (_LEAST.replace('"https://registry.example"', "[]"), "needs 'audiences'"),
            (_LEAST.replace('"ci"', '"CI"'), "small letters"),
            (_LEAST.replace('"ci"', '"c:i"'), "small letters"),
            (_LEAST.replace("https://ci", "http://ci"), "not encrypted"),
            (_LEAST.replace("https://ci.example", "ci"), "neither 'keys_file' nor 'keys_url'"),
            (_LEAST.replace("https://ci.example", ""), "needs 'issuer'"),
            (_LEAST.replace("https://ci.example", "https://a:b@ci.example"), "is not a URL"),
            (_LEAST + 'algorithms = ["none"]', "the algorithm 'none'; expected one of EdDSA"),
            (_LEAST + 'algorithms = "HS256"', "the algorithm 'HS256'"),
            (_LEAST + 'algorithms = "es256"', "the algorithm 'es256'"),
            (_LEAST + 'algorithms = ["RS256", 1]', "needs 'algorithms'"),
            (_LEAST + 'keys_url = "http://keys.example"', "not encrypted"),
            (_LEAST + 'keys_url = "http://127.0.0.1.keys.example"', "not encrypted"),
            (_LEAST + 'keys_url = "file:///etc/passwd"', "is not a URL"),
            (_LEAST + 'keys_url = "ftp://keys.example"', "not encrypted"),
            (_LEAST + 'keys_url = "https://a:b@keys.example"', "is not a URL"),
            (_LEAST + 'keys_file = "a"\nkeys_url = "https://b.example"', "leave out one"),
            (_LEAST + "keys_file = 1", "needs 'keys_file'"),
            (_LEAST + 'name_claim = ""', "needs 'name_claim'"),
            (_LEAST + "max_lifetime_seconds = 1", "whole number from 60 to"),
            (_LEAST + "max_lifetime_seconds = true", "whole number from 60 to"),
            (_LEAST + "max_lifetime_seconds = 1e9", "whole number from 60 to"),
            (_LEAST * 2, "several issuers have the name 'ci'"),
            (_LEAST + _LEAST.replace('"ci"', '"ci2"'), "several issuers have the issuer 'https://ci.example'"),
            (_LEAST + grants, "grant 1 needs 'claims'"),
            (_LEAST + grants + "claims = {}", "needs 'claims'"),
            (_LEAST + grants + "claims = {a = 1}", "the claim 'a'"),
            (_LEAST + grants + "claims = {a = []}", "the claim 'a'"),
            (_LEAST + grants + "claims = {a = {}}", "the claim 'a'"),
            (_LEAST + grants + "claims = {a = {b = [{}]}}", "the claim 'b'"),
            (_LEAST + grants + "claims = {a = 'team*'}", "longer texts"),
            (_LEAST + grants + "claims = {a = '*'}", "longer texts"),
            (_LEAST + grants.replace("reader", "king") + "claims = {a = 'b'}", "expected one of admin"),
            (_LEAST + grants.replace("'*'", "'a*'") + "claims = {a = 'b'}", "separator"),
            (_LEAST + "grants = 1", "[[issuers.grants]]"),
            ("issuers = 1", "[[issuers]]"),
            (
                _LEAST + grants.replace("issuers.grants", "grants") + "to = 'jwt:cj:a'",
                "no issuer 'cj'; expected one of ci",
            ),
            (_LEAST + grants.replace("issuers.grants", "grants") + "to = 'jwt:ci'", "'jwt:ISSUER:SUBJECT'"),
            (_LEAST + grants.replace("issuers.grants", "grants") + "to = 'jwt:ci:'", "'jwt:ISSUER:SUBJECT'"),
        ):
            self.assertIn(hint, self.problems(text), text)

    @given(
        st.sampled_from(
            ["name", "issuer", "audiences", "algorithms", "keys_file", "keys_url", "max_lifetime_seconds", "grants"]
        ),
        st.recursive(st.booleans() | st.integers() | st.sampled_from(["a", "https://a", "[", "*"]), st.lists),
    )
    def test_any_values(self, key: str, value: Any) -> None:
        """
        Whatever stands for a value, the policy is read or refused.
        """
        given = {"name": '"ci"', "issuer": '"https://ci.example"', "audiences": '"a"'}
        given[key] = (
            str(value).replace("True", "true").replace("False", "false")
            if value not in ("a", "[", "*", "https://a")
            else f'"{value}"'
        )
        text = "[[issuers]]\n" + "".join(f"{name} = {each}\n" for name, each in given.items())
        try:
            parse_policy(text.encode())
        except BadFile as error:
            self.assertTrue(error.problems)
