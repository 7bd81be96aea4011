"""
The authenticator of client certificates, which gRPC has verified.
"""

from collections.abc import Callable

from zope.interface import implementer

from twisted_registry.contracts.access import IAuthenticator
from twisted_registry.contracts.execution import INonBlocking
from twisted_registry.domain.access import Credentials, Identity

KIND = "certificate"


@implementer(IAuthenticator, INonBlocking)
class ClientCertificates:
    """
    Identities by the first name in a client certificate: its SPIFFE id, or else a DNS name.  The policy may also have
    grants for the other names.  The common name is not used: authorities do not check it.
    """

    def authenticate(self, credentials: Credentials) -> Identity | None:
        """See ``IAuthenticator.authenticate``."""
        if not credentials.certificate_names:
            return None
        name, *others = credentials.certificate_names
        groups = tuple(f"{KIND}:{other}" for other in others)
        return Identity(KIND, name, groups=groups, ends_seconds=credentials.certificate_ends_seconds)

    def on_change(self, changed: Callable[[], None]) -> None:
        """See ``IAuthenticator.on_change``."""
