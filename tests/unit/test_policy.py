"""
Tests for the policy and its file.
"""

from datetime import UTC, datetime

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_registry.access.file_kinds import BadFile
from twisted_registry.access.policy.file import parse_policy
from twisted_registry.access.policy.policy import Policy
from twisted_registry.contracts.access import IPolicy
from twisted_registry.domain.access import ANONYMOUS, ROLES, Action, Grant, Identity, Scope

_POLICY = """
[roles]
releaser = ["read", "archive", "alias"]

[[grants]]
to = ["token:ann", "certificate:spiffe://ci/*"]
role = "releaser"
models = ["team-a/*", "walker"]
until = 2027-01-01T01:00:00+01:00

[[grants]]
to = "certificate:ml.example"
role = "publisher"
models = "team-b/*"

[[grants]]
to = "anyone"
role = "reader"
models = "public/*"
"""


class PolicyTests(SynchronousTestCase):
    """
    ``Policy`` returns the grants of identities.
    """

    def setUp(self) -> None:
        """
        Read the policy.
        """
        self.rules = parse_policy(_POLICY.encode())
        self.policy = Policy(self.rules)

    def scopes(self, identity: Identity) -> set[str]:
        """
        Return the scopes of an identity's grants.
        """
        return {str(grant.scope) for grant in self.policy.grants_of(identity)}

    def test_interface(self) -> None:
        """
        It provides the contract.
        """
        self.assertTrue(verifyObject(IPolicy, self.policy))

    def test_subjects(self) -> None:
        """
        Grants belong to a subject, to all subjects with a prefix, to members of a group, or to anyone.
        """
        for identity, expected in (
            (Identity("token", "ann"), {"team-a/*", "walker", "public/*"}),
            (Identity("certificate", "spiffe://ci/main"), {"team-a/*", "walker", "public/*"}),
            (Identity("certificate", "spiffe://cicd/main"), {"public/*"}),
            (Identity("unix", "ann"), {"public/*"}),
            (Identity("certificate", "bob", groups=("certificate:ml.example",)), {"team-b/*", "public/*"}),
            (ANONYMOUS, {"public/*"}),
        ):
            self.assertEqual(self.scopes(identity), expected, identity)

    def test_grant(self) -> None:
        """
        A grant has the actions of its role, and ends as the policy says.
        """
        found = self.policy.grants_of(Identity("token", "ann"))[0]
        until = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
        actions = frozenset({Action.READ, Action.ARCHIVE, Action.ALIAS})
        self.assertEqual(found, Grant(actions, Scope("team-a/", True), until))

    def test_roles(self) -> None:
        """
        The policy's roles are added to the built-in ones.
        """
        self.assertEqual(set(self.policy.roles), {*ROLES, "releaser"})

    def test_replaced(self) -> None:
        """
        A change is reported, and counts at once.
        """
        changes: list[None] = []
        self.policy.on_change(lambda: changes.append(None))
        self.policy.replace(parse_policy(b""))
        self.assertEqual((len(changes), self.scopes(Identity("token", "ann"))), (1, set()))


class PolicyFileTests(SynchronousTestCase):
    """
    The policy file is checked.
    """

    def problems(self, text: str) -> str:
        """
        Return what is wrong with a policy.
        """
        return "\n".join(self.assertRaises(BadFile, parse_policy, text.encode()).problems)

    def test_empty(self) -> None:
        """
        An empty policy grants nothing to anybody.
        """
        rules = parse_policy(b"")
        self.assertEqual((rules.grants, rules.roles), ([], ROLES))

    def test_mistakes(self) -> None:
        """
        Each mistake is named with its place and what is expected.
        """
        grant = '[[grants]]\nto = "token:a"\nrole = "reader"\nmodels = "*"\n'
        for text, hint in (
            ("[", "not valid TOML"),
            ("[role]\n", "did you mean 'roles'"),
            ("roles = 1", "[roles]"),
            ('[roles]\nreader = ["read"]', "built in"),
            ('[roles]\nX = ["read"]', "small letters"),
            ("[roles]\nx = []", "list of actions"),
            ('[roles]\nx = ["write"]', "unknown action 'write'"),
            ('[roles]\nx = ["none"]', "unknown action 'none'"),
            ("grants = 1", "[[grants]]"),
            ("[grants]\n", "[[grants]]"),
            (grant.replace("role =", "rolle ="), "did you mean 'role'"),
            (grant.replace("reader", "king"), "expected one of admin"),
            (grant.replace("token:a", "token"), "'token:trainer'"),
            (grant.replace("token:a", "tokens:a"), "'token:trainer'"),
            (grant.replace("token:a", "token:a*"), "longer names"),
            (grant.replace("token:a", "jwt:a*"), "longer names"),
            (grant.replace("token:a", "unix-groups:ml"), "'unix-group:ml'"),
            (grant.replace('"token:a"', "[]"), "needs 'to'"),
            (grant.replace('models = "*"', ""), "needs 'models'"),
            (grant.replace('"*"', '"team-a*"'), "separator"),
            (grant + "until = 2027-01-01", "time zone"),
            (grant + "until = 2027-01-01T00:00:00", "time zone"),
            (grant + "until = 0001-01-01T00:00:00+14:00", "calendar"),
        ):
            self.assertIn(hint, self.problems(text), text)
        self.assertRaises(BadFile, parse_policy, b"\xff")

    def test_kinds(self) -> None:
        """
        A grant can be to callers of each kind.
        """
        subjects = ["token:a", "certificate:a.example", "jwt:ci:repo/*", "unix:1000", "unix-group:ml", "anyone"]
        issuer = '[[issuers]]\nname = "ci"\nissuer = "https://ci.example"\naudiences = "registry"\n'
        rules = parse_policy(f'{issuer}[[grants]]\nto = {subjects}\nrole = "reader"\nmodels = "*"\n'.encode())
        self.assertEqual([subject for subject, _ in rules.grants], subjects)

    def test_all_at_once(self) -> None:
        """
        All mistakes are reported, not only the first.
        """
        text = self.problems('x = 1\n[[grants]]\nto = "a"\nrole = "b"\nmodels = "c*d"\n')
        self.assertEqual(len(text.splitlines()), 4)

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text("ab*:\n", max_size=5), st.lists))
    def test_any_values(self, value: object) -> None:
        """
        Whatever stands for a value, the policy is read or refused.
        """
        text = str(value).replace("None", '"x"').replace("True", "true").replace("False", "false").replace("'", '"')
        for key in ("to", "role", "models", "until"):
            lines = {"to": '"token:a"', "role": '"reader"', "models": '"*"', key: text}
            content = "[[grants]]\n" + "".join(f"{name} = {given}\n" for name, given in lines.items())
            try:
                parse_policy(content.encode())
            except BadFile as error:
                self.assertTrue(error.problems)
