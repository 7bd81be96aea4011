"""
The authenticator of JSON Web Tokens of the policy's issuers.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Protocol

from attrs import frozen
from zope.interface import implementer

from twisted_registry.access.issuers.issuer import KIND, Issuer, issuer_in
from twisted_registry.access.issuers.jwt_claims import check_claims, name_in
from twisted_registry.access.issuers.jwt_format import BadJwt, Jwt, id_in
from twisted_registry.contracts.access import ISelectiveAuthenticator
from twisted_registry.domain.access import Credentials, Identity
from twisted_registry.domain.errors import NotAuthenticated, shown

if TYPE_CHECKING:
    from twisted_registry.access.issuers.jwt_keys import KeySet

_MOST_WAITING = 3
"""How many threads wait for keys with a call.  There are more, and the others go on checking tokens."""


class Keys(Protocol):
    """
    The keys of one issuer.  Used in any thread.
    """

    def current(self) -> "KeySet":
        """
        Return the keys that are known.

        Raises:
            Unavailable: none are known yet.
        """

    def newer(self) -> "KeySet":
        """
        Return the keys after those known did not suffice: fetched again, unless that happened a short time ago.  May
        block.

        Raises:
            Unavailable: they cannot be fetched now.
        """

    def is_due(self) -> bool:
        """
        Return whether it is time to call ``refresh``.  Does not block.
        """

    def refresh(self) -> None:
        """
        Read the keys again if they are due.  This blocks.  If they cannot be read, those known stay in force, and that
        is logged.
        """


@frozen
class _Known:
    """
    An issuer, with its keys.
    """

    issuer: Issuer
    keys: Keys


MakeKeys = Callable[[Issuer, Callable[[], None]], Keys]
"""A function that makes the keys of an issuer; the function that it gets is to be called when they change."""


def keys_in(directory: Path) -> MakeKeys:
    """
    Return a function that makes the keys of an issuer.

    Args:
        directory: relative paths of files begin here.
    """

    waiting = BoundedSemaphore(_MOST_WAITING)

    def make(issuer: Issuer, changed: Callable[[], None]) -> Keys:
        # Imported late: a daemon without issuers needs no PyJWT.
        from twisted_registry.access.issuers.keys import FileKeys, RemoteKeys

        source = issuer.keys
        if source.file:
            return FileKeys(directory / source.file, changed)
        return RemoteKeys(issuer.name, source, changed, waiting)

    return make


@implementer(ISelectiveAuthenticator)
class IssuerTokens:
    """
    Tokens of issuers.  ``replace`` changes the issuers.
    """

    def __init__(
        self, make_keys: MakeKeys, *, is_alone: bool = True, now_seconds: Callable[[], float] = time.time
    ) -> None:
        """

        Args:
            make_keys: makes the keys of an issuer.
            is_alone: whether a token of an unknown issuer is refused, and not left to another authenticator.
            now_seconds: returns the time in seconds since the Unix epoch.
        """
        self._make_keys = make_keys
        self._is_alone = is_alone
        self._now_seconds = now_seconds
        self._known: Mapping[str, _Known] = {}
        self._listeners: list[Callable[[], None]] = []

    def replace(self, issuers: Sequence[Issuer]) -> None:
        """
        Replace the issuers.  Keys that are known are kept; files of new issuers are read, which blocks.

        Raises:
            BadFile: a file cannot be used; nothing has changed then.
        """
        kept = {(known.issuer.name, known.issuer.keys): known.keys for known in self._known.values()}
        if issuers or kept:
            self._known = {
                each.issuer: _Known(each, kept.get((each.name, each.keys)) or self._make_keys(each, self._changed))
                for each in issuers
            }
            self._changed()

    def due(self) -> Sequence[Keys]:
        """
        Return the keys that are to be read again.  Does not block.
        """
        return [known.keys for known in self._known.values() if known.keys.is_due()]

    def on_change(self, changed: Callable[[], None]) -> None:
        """See ``IAuthenticator.on_change``."""
        self._listeners.append(changed)

    def _changed(self) -> None:
        for changed in self._listeners:
            changed()

    def concerns(self, credentials: Credentials) -> bool:
        """See ``ISelectiveAuthenticator.concerns``."""
        return bool(self._known) and "." in credentials.token

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        if not self.concerns(credentials):
            return None
        try:
            token = Jwt.parse(credentials.token)
            return None if token is None else self._identity(token)
        except BadJwt as error:
            raise NotAuthenticated(str(error)) from None

    def _identity(self, token: Jwt) -> Identity | None:
        """
        Return who presents a token.  What costs least is checked first.

        Raises:
            BadJwt: it is not valid.
            Unavailable: its issuer's keys cannot be fetched now.
        """
        named = issuer_in(token.claims)
        known = self._known.get(named)
        if known is None:
            if self._is_alone:
                raise BadJwt(f"the token's issuer is {shown(named)}, which the policy does not have")
            return None
        issuer = known.issuer
        if token.algorithm not in issuer.algorithms:
            expected = ", ".join(sorted(issuer.algorithms))
            raise BadJwt(f"the token is signed with {shown(token.algorithm)}; the policy accepts {expected}")
        ends_seconds = check_claims(issuer, token.claims, self._now_seconds())
        name = name_in(issuer, token.claims)
        _check_signature(token, known.keys)
        return Identity(
            KIND,
            f"{issuer.name}:{name}",
            id_in(token.claims),
            grants=tuple(issuer.grants_for(token.claims)),
            is_of_token=True,
            ends_seconds=ends_seconds,
        )


def _check_signature(token: Jwt, keys: Keys) -> None:
    from twisted_registry.access.issuers.jwt_keys import check_signature

    found = keys.current().find(token) or keys.newer().find(token)
    if not found:
        raise BadJwt(f"the token is signed with {_key_named(token)}, which its issuer does not have; get a new one")
    check_signature(token, found)


def _key_named(token: Jwt) -> str:
    return f"a key for {token.algorithm}" if token.key_id is None else f"the key {shown(token.key_id)}"
