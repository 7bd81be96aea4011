"""
An authenticator of a plugin, whose answers are checked.
"""

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import alsoProvides, implementer

from twisted_registry.access.policy.subjects import kinds_of_plugin
from twisted_registry.contracts.access import IAuthenticator, ISelectiveAuthenticator
from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.domain.access import Credentials, Identity
from twisted_registry.domain.errors import RegistryError, Unavailable

_log = Logger()


class BadIdentity(Exception):
    """
    A plugin returned an identity of another kind.
    """


@implementer(IAuthenticator)
class PluginIdentities:
    """
    The identities that a plugin's authenticator finds.  A fault of the plugin refuses the call, and is logged; a plugin
    cannot return identities of other kinds.

    Attributes:
        name: the name of the plugin's provider, and the kind of the identities.
    """

    def __init__(self, name: str, authenticator: IAuthenticator) -> None:
        """

        Args:
            name: the name of the plugin's provider.
            authenticator: the plugin's authenticator.
        """
        self.name = name
        self._kinds = frozenset(kinds_of_plugin(name))
        self._authenticator = authenticator
        if INonBlocking.providedBy(authenticator):
            alsoProvides(self, INonBlocking)
        if ISelectiveAuthenticator.providedBy(authenticator):
            self.concerns: Callable[[Credentials], bool] = authenticator.concerns
            alsoProvides(self, ISelectiveAuthenticator)

    def on_change(self, changed: Callable[[], None]) -> None:
        """See ``IAuthenticator.on_change``."""
        self._authenticator.on_change(changed)

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        try:
            identity = self._authenticator.authenticate(credentials)
            if identity is not None:
                self._check(identity)
        except RegistryError:
            raise
        except Exception:  # a plugin may fail in any way
            _log.failure("the authenticator {name} failed", name=self.name)
            raise Unavailable(
                f"the authenticator {self.name!r} failed; the registry's log says how, and its operator can tell"
            ) from None
        return identity

    def _check(self, identity: Identity) -> None:
        if identity.kind != self.name or not identity.name or not identity.name.isprintable():
            raise BadIdentity(f"{identity!r} is not of the kind {self.name!r} with a printable name")
        for group in identity.groups:
            if group.partition(":")[0] not in self._kinds:
                raise BadIdentity(f"the group {group!r} is of another kind than {', '.join(sorted(self._kinds))}")
