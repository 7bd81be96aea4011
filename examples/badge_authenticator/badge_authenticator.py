"""
Callers with badges: tokens of the form ``badge-NAME-SECONDS-HMAC``, signed with a key that this program shares with the
one that gives them out.
"""

import hmac
import re
import time
from collections.abc import Callable
from pathlib import Path

from zope.interface import implementer

from twisted_registry.contracts.access import ISelectiveAuthenticator
from twisted_registry.domain.access import Credentials, Identity
from twisted_registry.domain.errors import NotAuthenticated, Unavailable

_BADGE = re.compile(r"badge-([a-z0-9.]{1,64})-([0-9]{1,12})-([0-9a-f]{64})")


def make_badge(key: bytes, name: str, ends_seconds: int) -> str:
    """
    Return a badge.
    """
    body = f"badge-{name}-{ends_seconds}"
    return f"{body}-{hmac.digest(key, body.encode(), 'sha256').hex()}"


@implementer(ISelectiveAuthenticator)
class BadgeAuthenticator:
    """
    An authenticator of badges.
    """

    def __init__(self, key_file: str) -> None:
        self._key_file = Path(key_file)

    def concerns(self, credentials: Credentials) -> bool:
        return credentials.token.startswith("badge-")

    def authenticate(self, credentials: Credentials) -> Identity | None:
        if not self.concerns(credentials):
            return None
        match = _BADGE.fullmatch(credentials.token)
        if match is None:
            raise NotAuthenticated("the badge was cut off or mistyped; copy it again")
        name, ends_seconds = match[1], int(match[2])
        if not hmac.compare_digest(make_badge(self._key(), name, ends_seconds), credentials.token):
            raise NotAuthenticated("the badge is not one of this company; ask for a new one")
        if ends_seconds <= time.time():
            raise NotAuthenticated(f"the badge of {name} has ended; ask for a new one")
        return Identity("badge", name, is_of_token=True, ends_seconds=ends_seconds)

    def _key(self) -> bytes:
        try:
            return self._key_file.read_bytes()
        except OSError as error:
            raise Unavailable(f"the key of the badges cannot be read now ({error.strerror}); try again") from error

    def on_change(self, changed: Callable[[], None]) -> None:
        """Do nothing: badges count until they end."""
