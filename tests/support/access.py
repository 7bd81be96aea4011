"""
Access control for tests: tokens that are their own names.
"""

from collections.abc import Callable, Sequence

from attrs import define, field
from zope.interface import implementer

from twisted_registry.contracts.access import IAuthenticator, IPolicy
from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.domain.access import ROLES, Credentials, Grant, Identity, Scope
from twisted_registry.domain.errors import NotAuthenticated


def grant(role: str, pattern: str, until_seconds: float | None = None) -> Grant:
    """
    Return a grant of a built-in role.
    """
    return Grant(ROLES[role], Scope.parse(pattern), until_seconds)


@define(eq=False)
class Changing:
    """
    A source that reports its changes.
    """

    changed: list[Callable[[], None]] = field(factory=list)

    def on_change(self, changed: Callable[[], None]) -> None:
        """See ``IPolicy.on_change``."""
        self.changed.append(changed)

    def change(self) -> None:
        """
        Report a change.
        """
        for each in self.changed:
            each()


@implementer(IAuthenticator, INonBlocking)
@define(eq=False)
class NamedTokens(Changing):
    """
    An authenticator whose tokens are the names of identities.

    Attributes:
        names: the valid tokens, each with the time when it ends.
    """

    names: dict[str, float | None] = field(factory=dict)

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        if not credentials.token:
            return None
        if credentials.token not in self.names:
            raise NotAuthenticated("the token is not valid; ask for a new one")
        name = credentials.token
        return Identity("token", name, f"id-of-{name}", is_of_token=True, ends_seconds=self.names[name])

    def revoke(self, name: str) -> None:
        """
        Make a token invalid.
        """
        del self.names[name]
        self.change()


@implementer(IPolicy)
@define(eq=False)
class Grants(Changing):
    """
    A policy: grants by subject; those of ``anyone`` are for all callers.
    """

    by_subject: dict[str, list[Grant]] = field(factory=dict)

    def grants_of(self, identity: Identity) -> Sequence[Grant]:
        """See ``IPolicy.grants_of``."""
        return [*self.by_subject.get(identity.subject, ()), *self.by_subject.get("anyone", ())]
