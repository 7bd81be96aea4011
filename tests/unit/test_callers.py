"""
Tests for ``twisted_registry.access.callers``.
"""

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.support.access import Changing, Grants, NamedTokens, grant
from tests.support.jwts import forged
from twisted_registry.access.callers import Callers
from twisted_registry.access.tokens.token import Token
from twisted_registry.contracts.access import IAccess, IAuthenticator, ISelectiveAuthenticator
from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.domain.access import ANONYMOUS, Action, Caller, Credentials, Identity, Need, Scope
from twisted_registry.domain.errors import NotAuthenticated

READ_A = Need(Action.READ, Scope("a"))


@implementer(IAuthenticator)
@define(eq=False)
class Certificates(Changing):
    """
    An authenticator of client certificates by their first name.
    """

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        names = credentials.certificate_names
        return Identity("certificate", names[0]) if names else None


@implementer(ISelectiveAuthenticator)
@define(eq=False)
class SelectiveTokens(Changing):
    """
    An authenticator that may block, of tokens that begin with ``jwt.``.
    """

    names: dict[str, float | None] = field(factory=dict)

    def concerns(self, credentials: Credentials) -> bool:
        """See ``ISelectiveAuthenticator.concerns``."""
        return credentials.token.startswith("jwt.")

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        return Identity("jwt", credentials.token, is_of_token=True) if credentials.token in self.names else None


class CallersTests(SynchronousTestCase):
    """
    ``Callers`` finds out who calls.
    """

    def setUp(self) -> None:
        """
        Make callers with two tokens.
        """
        self.clock = Clock()
        self.clock.advance(1000)
        self.tokens = NamedTokens(names={"ann": None, "bob": 1100.0})
        self.certificates = Certificates()
        self.policy = Grants(by_subject={"token:ann": [grant("reader", "a")], "token:bob": [grant("reader", "a")]})
        self.callers = Callers([self.tokens, self.certificates], self.policy, self.clock.seconds)

    def find(self, token: str = "", *names: str) -> Caller:
        """
        Find a caller.
        """
        credentials = Credentials(token, names)
        return self.callers.known_caller(credentials) or self.callers.find_caller(credentials)

    def test_interface(self) -> None:
        """
        It provides the contract.
        """
        self.assertTrue(verifyObject(IAccess, self.callers))

    def test_token(self) -> None:
        """
        A valid token stands for an identity with the permissions of the policy; another one is refused.
        """
        caller = self.find("ann")
        self.assertEqual((caller.identity.subject, caller.ends_seconds), ("token:ann", None))
        self.assertTrue(caller.permissions.allow(READ_A))
        self.assertRaises(NotAuthenticated, self.find, "eve")

    def test_anonymous(self) -> None:
        """
        A caller without credentials is anonymous, and has what anyone has.
        """
        caller = self.find()
        self.assertEqual((caller.identity, caller.permissions.is_empty), (ANONYMOUS, True))
        self.policy.by_subject["anyone"] = [grant("reader", "a")]
        self.policy.change()
        self.assertTrue(self.find().permissions.allow(READ_A))

    def test_revoked(self) -> None:
        """
        A token is refused as soon as it is revoked.
        """
        self.find("ann")
        self.tokens.revoke("ann")
        self.assertRaises(NotAuthenticated, self.find, "ann")

    def test_was_valid(self) -> None:
        """
        Credentials were valid once they were found so, also after a change, until they are found to be wrong.
        """
        ann = Credentials("ann")
        self.assertFalse(self.callers.was_valid(ann))
        self.callers.find_caller(ann)
        self.policy.change()
        self.assertTrue(self.callers.was_valid(ann))
        self.tokens.revoke("ann")
        self.assertTrue(self.callers.was_valid(ann), "it was not checked since")
        self.assertRaises(NotAuthenticated, self.callers.find_caller, ann)
        self.assertFalse(self.callers.was_valid(ann))

    def test_policy_changes(self) -> None:
        """
        Permissions change with the policy.
        """
        self.find("ann")
        self.policy.by_subject["token:ann"] = []
        self.policy.change()
        self.assertFalse(self.find("ann").permissions.allow(READ_A))

    def test_grants_end(self) -> None:
        """
        A grant is in force until its end, and the caller must be found again then.
        """
        self.policy.by_subject["token:ann"] = [grant("reader", "a", until_seconds=1050.0)]
        caller = self.find("ann")
        self.assertEqual(caller.ends_seconds, 1050.0)
        self.assertTrue(caller.permissions.allow(READ_A))
        self.clock.advance(50)
        self.assertFalse(self.find("ann").permissions.allow(READ_A))

    def test_credentials_end(self) -> None:
        """
        A caller ends with its token.
        """
        self.assertEqual(self.find("bob").ends_seconds, 1100.0)

    def test_kept(self) -> None:
        """
        A caller is found once, until something changes.
        """
        caller = self.find("ann")
        self.assertIs(self.find("ann"), caller)
        self.policy.change()
        self.assertIsNot(self.find("ann"), caller)

    def test_least_recent_dropped(self) -> None:
        """
        If too many callers are kept, the one that has not called for the longest time is dropped.
        """
        self.tokens.names["eve"] = None
        callers = Callers([self.tokens], self.policy, self.clock.seconds, kept_max=2)

        def find(token: str) -> Caller | None:
            return callers.known_caller(Credentials(token))

        ann, bob = find("ann"), find("bob")
        self.assertIs(find("ann"), ann)
        find("eve")
        self.assertIs(find("ann"), ann)
        self.assertIsNot(find("bob"), bob)

    def test_blocking(self) -> None:
        """
        If an authenticator may block, callers that are not known yet must be found in another thread.
        """
        self.assertIsNone(self.callers.known_caller(Credentials("ann")))
        self.assertTrue(INonBlocking.providedBy(self.tokens))
        callers = Callers([self.tokens], self.policy, self.clock.seconds)
        self.assertIsNotNone(callers.known_caller(Credentials("ann")))

    def test_selective(self) -> None:
        """
        Credentials that do not concern an authenticator that may block need no other thread.
        """
        tokens = SelectiveTokens(names={"jwt.eve": None})
        callers = Callers([self.tokens, tokens], self.policy, self.clock.seconds)
        self.assertIsNotNone(callers.known_caller(Credentials("ann")))
        self.assertIsNone(callers.known_caller(Credentials("jwt.eve")))

    def test_known_token(self) -> None:
        """
        A token that one authenticator knows is not shown to the next one.
        """
        later = NamedTokens(names={"eve": None})
        callers = Callers([self.tokens, later], self.policy, self.clock.seconds)
        self.assertEqual(callers.find_caller(Credentials("ann")).identity.name, "ann")

    def test_token_bytes(self) -> None:
        """
        The bytes of tokens that are kept are limited, and those that are not valid are not kept.
        """
        callers = Callers([self.tokens], self.policy, self.clock.seconds, token_bytes_max=8)
        ann, bob = Credentials("ann"), Credentials("bob")
        kept = callers.known_caller(ann)
        callers.known_caller(bob)
        for number in range(100):
            self.assertRaises(NotAuthenticated, callers.known_caller, Credentials(f"wrong-{number}"))
        self.assertIs(callers.known_caller(ann), kept)
        self.tokens.names["eve"] = None
        callers.known_caller(Credentials("eve"))
        self.assertIs(callers.known_caller(ann), kept)

    def test_public_part(self) -> None:
        """
        A log names a token of the registry by its id, and one of an issuer by the id that it claims; no other text.
        """
        own, part = Token.make(), self.callers.public_part
        self.assertEqual(part(own.text), own.id)
        self.assertEqual(part(forged({"alg": "ES256"}, {"jti": "id-7"})), "id-7")
        for claims in ({}, {"jti": 1}, {"jti": "a\nb"}, {"jti": "a" * 129}):
            self.assertEqual(part(forged({"alg": "ES256"}, claims)), "")
        for text in ("", "a.b.c", "secret", "eyJ.eyJ.x"):
            self.assertEqual(part(text), "")

    def test_certificate_and_token(self) -> None:
        """
        A token beside a certificate counts if the certificate has no permission; otherwise the two must agree.
        """
        self.assertEqual(self.find("ann", "node-7").identity.subject, "token:ann")
        self.policy.by_subject["certificate:node-8"] = [grant("reader", "*")]
        self.assertEqual(self.find("", "node-8").identity.subject, "certificate:node-8")
        error = self.assertRaises(NotAuthenticated, self.find, "ann", "node-8")
        self.assertIn("only one", str(error))

    def test_anyone(self) -> None:
        """
        Grants for everybody do not make a certificate count beside a token, nor grants that have ended.
        """
        self.policy.by_subject["anyone"] = [grant("reader", "public/*")]
        self.policy.by_subject["certificate:node-7"] = [grant("reader", "*", until_seconds=999.0)]
        self.assertEqual(self.find("ann", "node-7").identity.subject, "token:ann")

    def test_unknown_kind(self) -> None:
        """
        A token that no authenticator knows is refused, also beside a certificate.
        """
        callers = Callers([self.certificates], self.policy, self.clock.seconds)
        self.assertRaises(NotAuthenticated, callers.find_caller, Credentials("ann", ("node-8",)))
