"""
The authenticator of the registry's own tokens.
"""

import hmac
import time
from collections.abc import Callable, Mapping

from zope.interface import implementer

from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import MalformedToken, Token
from twisted_registry.contracts.access import IAuthenticator
from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.domain.access import ROLES, Action, Credentials, Identity
from twisted_registry.domain.errors import NotAuthenticated

KIND = "token"

_NO_SECRET = "0" * 64


@implementer(IAuthenticator, INonBlocking)
class OwnTokens:
    """
    The registry's own tokens.  ``replace`` changes which ones are valid.
    """

    def __init__(
        self,
        roles: Callable[[], Mapping[str, frozenset[Action]]] = lambda: ROLES,
        now_seconds: Callable[[], float] = time.time,
        compare: Callable[[str, str], bool] = hmac.compare_digest,
    ) -> None:
        """

        Args:
            roles: returns the roles of the policy, each with its actions.
            now_seconds: returns the time in seconds since the Unix epoch.
            compare: returns whether two texts are equal, in a time that does not depend on where they differ.
        """
        self._roles = roles
        self._compare = compare
        self._now_seconds = now_seconds
        self._records: Mapping[str, TokenRecord] = {}
        self._changed: list[Callable[[], None]] = []

    def replace(self, records: Mapping[str, TokenRecord]) -> None:
        """
        Replace the valid tokens.

        Args:
            records: the tokens by their ids.
        """
        self._records = records
        for changed in self._changed:
            changed()

    def on_change(self, changed: Callable[[], None]) -> None:
        """See ``IAuthenticator.on_change``."""
        self._changed.append(changed)

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        try:
            token = Token.parse(credentials.token)
        except MalformedToken as error:
            raise NotAuthenticated(f"{error}; copy it again") from None
        if token is None:
            return None
        record = self._records.get(token.id)
        # An unknown id takes as long as a wrong secret.
        is_valid = self._compare(token.sha256, _NO_SECRET if record is None else record.sha256)
        if record is None or not is_valid:
            raise NotAuthenticated(f"the token {token.id} is not known here, or was revoked; ask for a new one")
        if record.expires_seconds is not None and record.expires_seconds <= self._now_seconds():
            raise NotAuthenticated(f"the token {token.id} has ended; ask for a new one")
        return Identity(
            KIND,
            record.name,
            record.id,
            grants=record.grants(self._roles()),
            is_of_token=True,
            ends_seconds=record.expires_seconds,
        )
