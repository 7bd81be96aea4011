"""
Tests of the guide on tokens of issuers: its policies do what it says.
"""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.guide import blocks
from tests.support.jwts import FixedKeys, SigningIssuer, keys_of
from twisted_registry.access.callers import Callers
from twisted_registry.access.issuers.authenticator import IssuerTokens
from twisted_registry.access.policy.file import parse_policy
from twisted_registry.access.policy.issuers import _KEYS
from twisted_registry.access.policy.policy import Policy
from twisted_registry.domain.access import ROLES, Caller, Credentials, Need, Scope
from twisted_registry.domain.errors import NotAuthenticated

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "issuers.md").read_text()
_REGISTRY = "https://registry.example.com"


class PageTests(SynchronousTestCase):
    """
    The page's policies.
    """

    def setUp(self) -> None:
        """
        Read the page.
        """
        found = [block.text for block in blocks(PAGE) if block.language == "toml"]
        self.kubernetes, self.ci, self.spiffe = found
        self.signing = SigningIssuer("RS256")

    def caller(self, policy: str, **claims: Any) -> Caller:
        """
        Return the caller with certain claims.
        """
        rules = parse_policy(policy.encode())
        tokens = IssuerTokens(lambda issuer, changed: FixedKeys(keys_of([self.signing])))
        tokens.replace(rules.issuers)
        return Callers([tokens], Policy(rules)).find_caller(Credentials(self.signing.sign(**claims)))

    def roles(self, caller: Caller, model_id: str) -> set[str]:
        """
        Return the built-in roles that a caller has on a model.
        """
        return {
            name
            for name, actions in ROLES.items()
            if all(caller.permissions.allow(Need(action, Scope(model_id))) for action in actions)
        }

    def test_kubernetes(self) -> None:
        """
        The service accounts of a namespace may read, and one of them may publish.
        """
        common = {"iss": "https://kubernetes.default.svc.cluster.local", "aud": [_REGISTRY]}
        for account, expected in (
            ("team-a:trainer", {"reader", "publisher"}),
            ("team-a:other", {"reader"}),
            ("team-ab:trainer", set()),
        ):
            caller = self.caller(self.kubernetes, **common, sub=f"system:serviceaccount:{account}")
            self.assertEqual(self.roles(caller, "team-a/x"), expected, account)
            self.assertEqual(self.roles(caller, "team-b/x"), set())

    def test_ci(self) -> None:
        """
        Jobs of the main branch and of tags maintain the model; others of the owner read.
        """
        maintainer = {"reader", "publisher", "maintainer"}
        for repository, ref, expected in (
            ("example/walker", "refs/heads/main", maintainer),
            ("example/walker", "refs/tags/v1", maintainer),
            ("example/walker", "refs/heads/fix", {"reader"}),
            ("example/other", "refs/heads/main", {"reader"}),
            ("evil/walker", "refs/heads/main", set()),
        ):
            claims = {"repository": repository, "ref": ref, "repository_owner": repository.partition("/")[0]}
            caller = self.caller(
                self.ci, iss="https://token.actions.example.com", aud=_REGISTRY, sub=f"repo:{repository}", **claims
            )
            self.assertEqual(self.roles(caller, "walker"), expected, claims)

    def test_spiffe(self) -> None:
        """
        Trainers of the mesh may publish.
        """
        for path, expected in (("trainers/7", {"reader", "publisher"}), ("other", set())):
            caller = self.caller(self.spiffe, iss=None, aud="registry", sub=f"spiffe://example.org/{path}")
            self.assertEqual(self.roles(caller, "m"), expected)

    def test_keys(self) -> None:
        """
        The table has all keys.
        """
        for key in _KEYS:
            if key != "grants":
                self.assertIn(f"\n| `{key}` |", PAGE)

    def test_text(self) -> None:
        """
        The page shows a refusal as it is.
        """
        text = self.assertRaises(
            NotAuthenticated,
            self.caller,
            self.ci,
            iss="https://token.actions.example.com",
            aud="https://other.example.com",
            sub="a",
        )
        (shown,) = [part for part in PAGE.replace("\n", " ").split("`") if part.startswith("the token's audience")]
        self.assertIn(shown, str(text))
