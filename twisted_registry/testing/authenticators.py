"""
The contract of authenticators.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from unittest import SkipTest

from attrs import evolve
from zope.interface.verify import verifyObject

from twisted_registry.contracts.access import IAuthenticator, ISelectiveAuthenticator
from twisted_registry.domain.access import Credentials, Identity
from twisted_registry.domain.errors import NotAuthenticated
from twisted_registry.testing._case import ContractCase

_STRANGE_TOKENS = (
    "x",
    " ",
    ".",
    "..",
    "a.b.c",
    "-",
    "0",
    "null",
    "{}",
    "*",
    "\0",
    "\n",
    "é\u202e",
    "\ud800",
    "../../etc/passwd",
    "' OR '1'='1",
    "trg_" + "0" * 60,
    "eyJhbGciOiJub25lIn0.e30.",
    "A" * 16_384,
)


class AuthenticatorContract(ContractCase):
    """
    The contract of an authenticator, with credentials that it accepts and others that it does not.
    """

    def make_authenticator(self) -> IAuthenticator:
        """
        Return the authenticator.  Called once for each test, first.
        """
        raise NotImplementedError

    def valid_credentials(self) -> Credentials:
        """
        Return credentials that the authenticator accepts for the next minute at least, the same for each call.
        """
        raise NotImplementedError

    def invalid_credentials(self) -> Sequence[Credentials]:
        """
        Return credentials of its kind that are not valid, such as those that have ended; none if there are no such.
        """
        return ()

    def revoke(self) -> None:
        """
        Make the valid credentials invalid from now on.
        """
        raise SkipTest("the credentials of this authenticator cannot be revoked")

    def setUp(self) -> None:
        """
        Make the authenticator.
        """
        super().setUp()
        self.authenticator = self.make_authenticator()
        self.valid = self.valid_credentials()

    def identity(self) -> Identity:
        """
        Return the identity of the valid credentials.
        """
        identity: Identity | None = self.authenticator.authenticate(self.valid)
        self.assertIsNotNone(identity)
        assert identity is not None
        return identity

    def test_interface(self) -> None:
        """
        It provides ``IAuthenticator``.
        """
        self.assertTrue(verifyObject(IAuthenticator, self.authenticator))

    def test_identity(self) -> None:
        """
        Valid credentials stand for an identity with a kind and a name that the policy and the log can hold.
        """
        identity = self.identity()
        for subject in (identity.subject, *identity.groups):
            kind, _, name = subject.partition(":")
            self.assertRegex(kind, r"\A[a-z][a-z0-9-]*\Z")
            self.assertTrue(name)
            self.assertTrue(name.isprintable())
        self.assertEqual(identity.is_of_token, bool(self.valid.token))
        self.assertFalse(identity.is_anonymous)

    def test_secret(self) -> None:
        """
        The identity does not contain the token.
        """
        if self.valid.token:
            self.assertNotIn(self.valid.token, repr(self.identity()))

    def test_end(self) -> None:
        """
        An identity that ends does so later.
        """
        ends_seconds = self.identity().ends_seconds
        if ends_seconds is not None:
            self.assertGreater(ends_seconds, time.time())

    def test_again(self) -> None:
        """
        The same credentials stand for the same identity, in any thread.
        """
        first = self.identity()
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: self.authenticator.authenticate(self.valid), range(50)))
        self.assertEqual({identity.subject for identity in found if identity is not None}, {first.subject})
        self.assertNotIn(None, found)

    def test_nothing(self) -> None:
        """
        Without credentials, nobody is known.
        """
        self.assertIsNone(self.authenticator.authenticate(Credentials()))

    def test_strange_tokens(self) -> None:
        """
        Whatever text comes as a token, it is left to others or refused.
        """
        for token in _STRANGE_TOKENS:
            self.check_refused(Credentials(token))

    def test_changed_token(self) -> None:
        """
        A token that is cut off, or of which a character was changed, stands for nobody.
        """
        token = self.valid.token
        for position in range(0, len(token), max(1, len(token) // 50)):
            other = "A" if token[position] != "A" else "B"
            self.check_refused(Credentials(token[:position] + other + token[position + 1 :]))
            self.check_refused(Credentials(token[:position]))

    def check_refused(self, credentials: Credentials) -> None:
        """
        Check that credentials stand for nobody.

        Args:
            credentials: the credentials.
        """
        try:
            self.assertIsNone(self.authenticator.authenticate(credentials), ascii(credentials.token[:80]))
        except NotAuthenticated as error:
            self.assertTrue(error.reason)

    def test_invalid(self) -> None:
        """
        Credentials that are not valid are refused with a text that does not contain them.
        """
        for credentials in self.invalid_credentials():
            with self.assertRaises(NotAuthenticated) as caught:
                self.authenticator.authenticate(credentials)
            self.assertTrue(caught.exception.reason)
            self.assertNotIn(credentials.token, str(caught.exception))

    def test_selection(self) -> None:
        """
        Credentials that do not concern a selective authenticator are left to others.
        """
        if not ISelectiveAuthenticator.providedBy(self.authenticator):
            raise SkipTest("the authenticator is not selective")
        self.assertTrue(self.authenticator.concerns(self.valid))
        for credentials in (Credentials(), *map(Credentials, _STRANGE_TOKENS)):
            if not self.authenticator.concerns(credentials):
                self.assertIsNone(self.authenticator.authenticate(credentials))

    def test_beside_others(self) -> None:
        """
        Valid credentials stand for the same identity beside those of other kinds.
        """
        beside = evolve(
            self.valid,
            certificate_names=(*self.valid.certificate_names, "other.example"),
            certificate_ends_seconds=None,
        )
        found = self.authenticator.authenticate(beside)
        self.assertEqual(found and found.subject, self.identity().subject)

    def test_revoked(self) -> None:
        """
        A change is reported, and credentials that are revoked are refused from then on.
        """
        changes: list[None] = []
        self.authenticator.on_change(lambda: changes.append(None))
        self.identity()
        self.revoke()
        self.assertTrue(changes)
        with self.assertRaises(NotAuthenticated):
            self.authenticator.authenticate(self.valid)


__all__ = ["AuthenticatorContract"]
