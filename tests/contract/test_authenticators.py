"""
Contract tests of the built-in authenticators, and of the one in the examples.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.jwts import ISSUER, FixedKeys, SigningIssuer, keys_of
from twisted_registry.access.client_certificates import ClientCertificates
from twisted_registry.access.issuers.authenticator import IssuerTokens
from twisted_registry.access.issuers.issuer import Issuer, KeySource
from twisted_registry.access.tokens.authenticator import OwnTokens
from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import Token
from twisted_registry.access.unix_peers import UnixPeers
from twisted_registry.contracts.access import IAuthenticator
from twisted_registry.domain.access import Credentials, UnixUser
from twisted_registry.testing import AuthenticatorContract

EXAMPLE = Path(__file__).parents[2] / "examples" / "badge_authenticator"


class OwnTokenTests(AuthenticatorContract, SynchronousTestCase):
    """
    The contract, on the registry's tokens.
    """

    def make_authenticator(self) -> OwnTokens:
        """
        Make the authenticator.
        """
        self.token, self.ended = Token.make(), Token.make()
        self.tokens = OwnTokens()
        now = int(time.time())
        self.tokens.replace(
            {
                token.id: TokenRecord(token.id, "ann", token.sha256, "reader", ("*",), now - 100, ends)
                for token, ends in ((self.token, now + 600), (self.ended, now - 1))
            }
        )
        return self.tokens

    def valid_credentials(self) -> Credentials:
        """
        Return a token.
        """
        return Credentials(self.token.text)

    def invalid_credentials(self) -> Sequence[Credentials]:
        """
        Return a token that has ended, an unknown one, and one that was cut off.
        """
        return [Credentials(text) for text in (self.ended.text, Token.make().text, self.token.text[:-1])]

    def revoke(self) -> None:
        """
        Revoke all tokens.
        """
        self.tokens.replace({})


class IssuerTokenTests(AuthenticatorContract, SynchronousTestCase):
    """
    The contract, on tokens of an issuer.
    """

    def make_authenticator(self) -> IssuerTokens:
        """
        Make the authenticator.
        """
        self.signing = SigningIssuer()
        self.keys = FixedKeys(keys_of([self.signing]))
        self.tokens = IssuerTokens(lambda issuer, changed: self.keys)
        self.issuer = Issuer("ci", ISSUER, frozenset({"https://registry.example"}), KeySource(ISSUER))
        self.tokens.replace([self.issuer])
        return self.tokens

    def valid_credentials(self) -> Credentials:
        """
        Return a token.
        """
        return Credentials(self.signing.sign())

    def invalid_credentials(self) -> Sequence[Credentials]:
        """
        Return a token that has ended, one for others, and one that another key has signed.
        """
        tokens = self.signing.sign(seconds=-1), self.signing.sign(aud="x"), SigningIssuer(number=1).sign()
        return [Credentials(token) for token in tokens]

    def revoke(self) -> None:
        """
        Replace the issuer.
        """
        self.tokens.replace([Issuer("other", "other", self.issuer.audiences, KeySource("other"))])


class ClientCertificateTests(AuthenticatorContract, SynchronousTestCase):
    """
    The contract, on client certificates.
    """

    def make_authenticator(self) -> ClientCertificates:
        """
        Make the authenticator.
        """
        return ClientCertificates()

    def valid_credentials(self) -> Credentials:
        """
        Return the names in a certificate.
        """
        return Credentials(
            certificate_names=("spiffe://example/ann", "ann.example"), certificate_ends_seconds=time.time() + 600
        )


class UnixPeerTests(AuthenticatorContract, SynchronousTestCase):
    """
    The contract, on users of this machine.
    """

    def make_authenticator(self) -> UnixPeers:
        """
        Make the authenticator.
        """
        return UnixPeers(user_name=lambda uid: "ann", group_name=lambda gid: "ml")

    def valid_credentials(self) -> Credentials:
        """
        Return a user.
        """
        return Credentials(unix_user=UnixUser(1000, (1000, 1001)))


class BadgeTests(AuthenticatorContract, SynchronousTestCase):
    """
    The contract, on ``examples/badge_authenticator``.
    """

    def make_authenticator(self) -> IAuthenticator:
        """
        Make the authenticator.
        """
        self.patch(sys, "path", [*sys.path, str(EXAMPLE)])
        import badge_authenticator  # type: ignore[import-not-found]

        self.module: Any = badge_authenticator
        path = Path(self.mktemp())
        path.write_bytes(b"key")
        authenticator: IAuthenticator = self.module.BadgeAuthenticator(str(path))
        return authenticator

    def badge(self, ends_seconds: float, key: bytes = b"key") -> Credentials:
        """
        Return a badge.
        """
        return Credentials(self.module.make_badge(key, "ann", int(ends_seconds)))

    def valid_credentials(self) -> Credentials:
        """
        Return a badge.
        """
        return self.badge(2**33)

    def invalid_credentials(self) -> Sequence[Credentials]:
        """
        Return a badge that has ended, and a forged one.
        """
        return [self.badge(1), self.badge(2**33, b"other"), Credentials("badge-ann")]
