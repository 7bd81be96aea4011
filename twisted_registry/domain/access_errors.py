"""
Errors of access control.  They never contain a credential.
"""

from attrs import define

from twisted_registry.domain.error_base import RegistryError, shown


@define
class NotAuthenticated(RegistryError):
    """
    The registry, or a proxy in front of it, does not accept the caller's identity, or wants to know it.

    Attributes:
        reason: what is missing or wrong.
    """

    reason: str

    def __str__(self) -> str:
        return f"the server did not accept your identity ({self.reason}); give the client a valid token or certificate"


@define
class NotPermitted(RegistryError):
    """
    The registry, or a proxy in front of it, knows the caller and does not permit the call.

    Attributes:
        reason: who may not do what, and what would permit it.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"the server does not permit this ({self.reason}); use a token or certificate that has the permission, or "
            "ask the server's operator for it"
        )


@define
class AuditUnavailable(RegistryError):
    """
    The audit log cannot be written, so acts that must be recorded are refused before they begin.

    Attributes:
        reason: why it cannot be written.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"the server cannot record this in its audit log ({self.reason}), so it was not done; try again later, or "
            "ask the server's operator"
        )


@define
class QuotaExceeded(RegistryError):
    """
    A quota does not permit the call now.

    Attributes:
        quota: the name of the quota.
        limit: the limit that is exceeded, such as ``calls_per_second = 10``.
        reason: how it is exceeded, and what to do if waiting does not help.
        retry_after_seconds: how long to wait before the next try, in seconds; 0 if waiting alone does not help.
    """

    quota: str
    limit: str
    reason: str
    retry_after_seconds: float = 0.0

    def __str__(self) -> str:
        text = f"the quota {shown(self.quota)} with {self.limit} does not permit this ({self.reason})"
        if not self.retry_after_seconds:
            return f"{text}; or ask the server's operator for a larger quota"
        return f"{text}; try again in {self.retry_after_seconds:.3g} s"
