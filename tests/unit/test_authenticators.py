"""
Tests for authenticators of plugins.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.support.access import Changing, NamedTokens
from tests.unit.test_providers import installed
from twisted_registry.access.file_kinds import BadFile
from twisted_registry.access.plugin_identities import PluginIdentities
from twisted_registry.access.policy.file import parse_policy
from twisted_registry.contracts.access import IAuthenticator, ISelectiveAuthenticator
from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.contracts.providers import IAuthenticatorProvider
from twisted_registry.daemon.authenticators import LazyAuthenticatorProvider, create_authenticator
from twisted_registry.domain.access import Credentials, Identity
from twisted_registry.domain.errors import CannotStart, NotAuthenticated, RegistryError, Unavailable

HERE = __name__


@implementer(ISelectiveAuthenticator)
@define(eq=False)
class Scripted(Changing):
    """
    An authenticator whose answer a test chooses.

    Attributes:
        answer: returns the identity, or fails.
    """

    answer: Callable[[], Identity | None] = lambda: None

    def concerns(self, credentials: Credentials) -> bool:
        """See ``ISelectiveAuthenticator.concerns``."""
        return credentials.token == "a"

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        return self.answer()


def scripted(*, kind: str = "ldap") -> Scripted:
    """
    Return an authenticator with an option.
    """
    return Scripted(answer=lambda: Identity(kind, "ann", is_of_token=True))


def incomplete() -> Any:
    """
    Return something that is not an authenticator.
    """
    return object()


def fail(error: BaseException) -> Any:
    """
    Raise an error.
    """
    raise error


class PluginIdentitiesTests(SynchronousTestCase):
    """
    ``PluginIdentities`` checks the answers of a plugin.
    """

    def setUp(self) -> None:
        """
        Make an authenticator.
        """
        self.plugin = Scripted()
        self.identities = PluginIdentities("ldap", self.plugin)

    def find(self, identity: Identity | None) -> Identity | None:
        """
        Return what is found if the plugin returns something.
        """
        self.plugin.answer = lambda: identity
        return self.identities.authenticate(Credentials("a"))

    def test_interfaces(self) -> None:
        """
        It provides what the plugin's authenticator provides.
        """
        self.assertTrue(verifyObject(ISelectiveAuthenticator, self.identities))
        self.assertFalse(INonBlocking.providedBy(self.identities))
        self.assertEqual([self.identities.concerns(Credentials(token)) for token in "ab"], [True, False])
        other = PluginIdentities("ldap", NamedTokens())
        self.assertTrue(INonBlocking.providedBy(other))
        self.assertFalse(ISelectiveAuthenticator.providedBy(other))

    def test_identities(self) -> None:
        """
        Identities of the plugin's kind pass, with its groups.
        """
        identity = Identity("ldap", "ann", groups=("ldap:a.b", "ldap-group:ml"))
        self.assertIs(self.find(identity), identity)
        self.assertIsNone(self.find(None))

    def test_other_kinds(self) -> None:
        """
        A plugin cannot let callers pass for those of other kinds; that is logged, and the call is refused.
        """
        for identity in (
            Identity("token", "ann"),
            Identity("local", "ann"),
            Identity("ldap", ""),
            Identity("ldap", "a\nb"),
            Identity("ldap", "ann", groups=("token:root",)),
            Identity("ldap", "ann", groups=("anyone",)),
        ):
            self.assertRaises(Unavailable, self.find, identity)
            self.assertIn("BadIdentity", str(self.flushLoggedErrors()[0].type))

    def test_errors(self) -> None:
        """
        Errors of the contract pass; any other one is logged, and the text does not contain it.
        """
        errors: list[RegistryError] = [NotAuthenticated("no"), Unavailable("later")]
        for error in errors:
            self.plugin.answer = partial(fail, error)
            self.assertRaises(type(error), self.identities.authenticate, Credentials("a"))
        self.plugin.answer = lambda: fail(KeyError("secret"))
        text = str(self.assertRaises(Unavailable, self.identities.authenticate, Credentials("a")))
        self.assertNotIn("secret", text)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_changes(self) -> None:
        """
        Changes are reported.
        """
        changes: list[None] = []
        self.identities.on_change(lambda: changes.append(None))
        self.plugin.change()
        self.assertEqual(len(changes), 1)


class CreateAuthenticatorTests(SynchronousTestCase):
    """
    ``create_authenticator`` makes what a description says.
    """

    def create(self, description: str, name: str = "ldap", factory: str = "scripted") -> PluginIdentities:
        """
        Make an authenticator with one plugin installed.
        """
        return create_authenticator(description, installed(LazyAuthenticatorProvider(name, f"{HERE}.{factory}")))

    def problem(self, *given: str) -> str:
        """
        Return why an authenticator cannot be made.
        """
        return str(self.assertRaises(CannotStart, self.create, *given))

    def test_interface(self) -> None:
        """
        The provider that imports late provides the contract.
        """
        self.assertTrue(verifyObject(IAuthenticatorProvider, LazyAuthenticatorProvider("ldap", "x")))

    def test_made(self) -> None:
        """
        It is made with the arguments of the description.
        """
        made = self.create("ldap")
        self.assertTrue(IAuthenticator.providedBy(made))
        found = made.authenticate(Credentials("a"))
        self.assertEqual((made.name, found and found.subject), ("ldap", "ldap:ann"))
        self.assertRaises(Unavailable, self.create("ldap:kind=token").authenticate, Credentials("a"))
        self.flushLoggedErrors()

    def test_mistakes(self) -> None:
        """
        Each mistake has its text.
        """
        self.assertIn("there is no authenticator 'kerberos'", self.problem("kerberos"))
        self.assertIn("of the authenticator 'ldap' is invalid", self.problem("ldap:x:y"))
        self.assertIn("of the authenticator 'ldap' cannot import", self.problem("ldap", "ldap", "missing"))
        self.assertIn("lacks authenticate, on_change", self.problem("ldap", "ldap", "incomplete"))
        for name in ("token", "jwt", "unix", "certificate", "anyone", "anonymous", "server"):
            self.assertIn("built-in kind", self.problem(name, name))


class PolicyTests(SynchronousTestCase):
    """
    The policy knows the callers of the plugin.
    """

    def test_grants(self) -> None:
        """
        It may have grants for them and for their groups, but only with the plugin.
        """
        text = b'[[grants]]\nto = ["ldap:ann", "ldap-group:ml"]\nrole = "reader"\nmodels = "*"\n'
        self.assertEqual(len(parse_policy(text, "ldap").grants), 2)
        error = self.assertRaises(BadFile, parse_policy, text)
        self.assertEqual(len(error.problems), 2)
        self.assertIn(
            "'ldap:trainer'", str(self.assertRaises(BadFile, parse_policy, text.replace(b"ldap:", b"lap:"), "ldap"))
        )
