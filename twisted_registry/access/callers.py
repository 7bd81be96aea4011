"""
The callers of a registry: identities from credentials, with the permissions that the policy gives them.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

from attrs import evolve, frozen
from zope.interface import implementer

from twisted_registry.access.issuers.jwt_format import claimed_id
from twisted_registry.access.tokens.token import public_part
from twisted_registry.contracts.access import IAccess, IAuthenticator, IPolicy, ISelectiveAuthenticator
from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.domain.access import ANONYMOUS, Caller, Credentials, Grant, Identity, Permissions
from twisted_registry.domain.errors import NotAuthenticated

_KEPT_MAX = 20_000
"""The most callers that are kept; those that have not called for the longest time are dropped first."""

_TOKEN_BYTES_MAX = 32 * 2**20
"""The most bytes of tokens that are kept with them: tokens of an issuer can be long."""


@frozen
class _Kept:
    """
    A caller that was found.

    Attributes:
        generation: the state of the credentials and the policy then.
    """

    caller: Caller
    generation: int


class _KeptCallers:
    """
    The callers that called last, by their credentials.  Used in the edge's thread and in those of pools.
    """

    def __init__(self, kept_max: int, token_bytes_max: int) -> None:
        self._kept_max = kept_max
        self._token_bytes_max = token_bytes_max
        self._token_bytes = 0
        self._kept: OrderedDict[Credentials, _Kept] = OrderedDict()
        self._lock = Lock()

    def find(self, credentials: Credentials) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(credentials)
            if kept is not None:
                self._kept.move_to_end(credentials)
            return kept

    def contains(self, credentials: Credentials) -> bool:
        return credentials in self._kept

    def drop(self, credentials: Credentials) -> None:
        with self._lock:
            if self._kept.pop(credentials, None) is not None:
                self._token_bytes -= len(credentials.token)

    def keep(self, credentials: Credentials, kept: _Kept) -> None:
        with self._lock:
            if credentials not in self._kept:
                self._token_bytes += len(credentials.token)
            self._kept[credentials] = kept
            self._kept.move_to_end(credentials)
            while len(self._kept) > self._kept_max or self._token_bytes > self._token_bytes_max:
                dropped, _ = self._kept.popitem(last=False)
                self._token_bytes -= len(dropped.token)


def _concerns(authenticator: IAuthenticator) -> Callable[[Credentials], bool]:
    if ISelectiveAuthenticator.providedBy(authenticator):
        return authenticator.concerns
    return lambda credentials: True


@implementer(IAccess)
class Callers:
    """
    The callers, by their credentials.  Those found are kept until something changes.

    Attributes:
        generation: see ``IAccess``.
    """

    def __init__(
        self,
        authenticators: Sequence[IAuthenticator],
        policy: IPolicy,
        now_seconds: Callable[[], float] = time.time,
        kept_max: int = _KEPT_MAX,
        token_bytes_max: int = _TOKEN_BYTES_MAX,
    ) -> None:
        """

        Args:
            authenticators: the ways to find out who calls.
            policy: what identities may do.
            now_seconds: returns the time in seconds since the Unix epoch.
            kept_max: the most callers that are kept.
            token_bytes_max: the most bytes of tokens that are kept with them.
        """
        self.generation = 0
        self._authenticators = authenticators
        self._policy = policy
        self._now_seconds = now_seconds
        self._concerns = [_concerns(each) for each in authenticators if not INonBlocking.providedBy(each)]
        self._kept = _KeptCallers(kept_max, token_bytes_max)
        self._changes = Lock()
        for each in authenticators:
            each.on_change(self._changed)
        policy.on_change(self._changed)

    def _changed(self) -> None:
        with self._changes:  # called in any thread
            self.generation += 1

    def kept_caller(self, credentials: Credentials) -> Caller | None:
        """See ``IAccess.kept_caller``."""
        kept = self._kept.find(credentials)
        if kept is not None and kept.generation == self.generation:
            ends_seconds = kept.caller.ends_seconds
            if ends_seconds is None or self._now_seconds() < ends_seconds:
                return kept.caller
        return None

    def known_caller(self, credentials: Credentials) -> Caller | None:
        """See ``IAccess.known_caller``."""
        caller = self.kept_caller(credentials)
        if caller is None and not any(concerns(credentials) for concerns in self._concerns):
            return self.find_caller(credentials)
        return caller

    def was_valid(self, credentials: Credentials) -> bool:
        """See ``IAccess.was_valid``."""
        return self._kept.contains(credentials)

    def find_caller(self, credentials: Credentials) -> Caller:
        """See ``IAccess.find_caller``."""
        generation = self.generation  # a change meanwhile makes the result outdated
        try:
            caller = self._caller(self._identity(credentials))
        except NotAuthenticated:
            self._kept.drop(credentials)
            raise
        self._kept.keep(credentials, _Kept(caller, generation))
        return caller

    def public_part(self, token: str) -> str:
        """See ``IAccess.public_part``."""
        return public_part(token) or claimed_id(token)

    def _identity(self, credentials: Credentials) -> Identity:
        found = self._found(credentials)
        if credentials.token and not any(identity.is_of_token for identity in found):
            raise NotAuthenticated("the token is not of a kind that this registry knows; use one that it was given")
        if len(found) > 1:
            # A client certificate may serve only the connection: a service mesh gives one to every program.
            found = [identity for identity in found if identity.is_of_token or self._has_grants(identity)]
        if len({identity.subject for identity in found}) > 1:
            subjects = " and ".join(identity.subject for identity in found)
            raise NotAuthenticated(f"the credentials stand for {subjects}; present only one of them")
        return found[0] if found else ANONYMOUS

    def _found(self, credentials: Credentials) -> Sequence[Identity]:
        found = []
        for each in self._authenticators:
            identity = each.authenticate(credentials)
            if identity is not None:
                found.append(identity)
                if identity.is_of_token:
                    # The others need not check a token that is known, nor see it.
                    credentials = evolve(credentials, token="")
        return found

    def _has_grants(self, identity: Identity) -> bool:
        """
        Return whether an identity has grants in force that not everybody has.
        """
        common, now = self._policy.grants_of(ANONYMOUS), self._now_seconds()
        return any(
            grant not in common and (grant.until_seconds is None or grant.until_seconds > now)
            for grant in self._grants(identity)
        )

    def _grants(self, identity: Identity) -> Sequence[Grant]:
        return [*identity.grants, *self._policy.grants_of(identity)]

    def _caller(self, identity: Identity) -> Caller:
        now = self._now_seconds()
        grants = [grant for grant in self._grants(identity) if grant.until_seconds is None or grant.until_seconds > now]
        ends = [grant.until_seconds for grant in grants if grant.until_seconds is not None]
        if identity.ends_seconds is not None:
            ends.append(identity.ends_seconds)
        return Caller(identity, Permissions(grants), min(ends, default=None))
