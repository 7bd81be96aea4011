"""
The contracts of access control: who makes a call, and what is recorded about it.

Providers are plugins.  Whatever credentials they check, the edge asks one ``IAccess``.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from zope.interface import Attribute, Interface

from twisted_registry.domain.access import Caller, Credentials, Grant, Identity


class IAuthenticator(Interface):
    """
    A way to find out who makes a call, such as the registry's tokens or an issuer's.
    """

    def authenticate(credentials: Credentials) -> Identity | None:
        """
        Return who presents these credentials.

        Called in a thread of a pool, or directly if the provider is marked with ``INonBlocking``.  The answer is kept
        until ``Identity.ends_seconds``, or until the authenticator's ``changed`` is called.

        Args:
            credentials: what the client presents.

        Returns:
            The identity; ``None`` if these credentials are not of a kind that this authenticator knows.

        Raises:
            NotAuthenticated: they are of its kind, and not valid; the text says what to do, and does not contain them.
            Unavailable: it cannot be determined now.
        """

    def on_change(changed: Callable[[], None]) -> None:
        """
        Register a function to call after each change of what this authenticator accepts: a token was revoked, a file
        was read again.

        Args:
            changed: may be called in any thread; cheap, and never raises.
        """


class ISelectiveAuthenticator(IAuthenticator):
    """
    An authenticator that knows without blocking which credentials are not its own.  Others are then found out without
    a thread.
    """

    def concerns(credentials: Credentials) -> bool:
        """
        Return whether these credentials may be of a kind that this authenticator knows.  Does not block, and is cheap.

        Args:
            credentials: what the client presents.

        Returns:
            False if ``authenticate`` would return ``None``, and would not block.
        """


class IPolicy(Interface):
    """
    The permissions of identities.
    """

    def grants_of(identity: Identity) -> Sequence[Grant]:
        """
        Return the grants of an identity, in addition to those that came with its credential.  Does not block.

        Args:
            identity: who calls; ``ANONYMOUS`` for callers without credentials.

        Returns:
            The grants, also those that have ended.
        """

    def on_change(changed: Callable[[], None]) -> None:
        """
        Register a function to call after each change of the policy.

        Args:
            changed: may be called in any thread; cheap, and never raises.
        """


class IAccess(Interface):
    """
    The questions of the edge about callers.  Used in the edge's thread.
    """

    generation: int = Attribute(
        "Grows when a credential or a permission changes: what was found out before must be found out again."
    )

    def kept_caller(credentials: Credentials) -> Caller | None:
        """
        Return a caller that was found out before, if nothing has changed since.  Does not block.

        Args:
            credentials: what the client presents.

        Returns:
            The caller; ``None`` if it must be found out.
        """

    def known_caller(credentials: Credentials) -> Caller | None:
        """
        Return a caller that was found out before, or that can be found out without blocking.

        Args:
            credentials: what the client presents.

        Returns:
            The caller; ``None`` if ``find_caller`` must be called.

        Raises:
            NotAuthenticated: the credentials are not valid.
        """

    def was_valid(credentials: Credentials) -> bool:
        """
        Return whether credentials were valid when they were last checked.  Does not block.

        Args:
            credentials: what the client presents.
        """

    def public_part(token: str) -> str:
        """
        Return the part of a token by which a log can name it.  Does not block.

        Args:
            token: the token, which may be any text.

        Returns:
            The part; empty if the token has none.
        """

    def find_caller(credentials: Credentials) -> Caller:
        """
        Find out who calls.  May block: called in a thread of a pool.

        Args:
            credentials: what the client presents.

        Returns:
            The caller.

        Raises:
            NotAuthenticated: the credentials are not valid.
            Unavailable: it cannot be determined now.
        """


class IAuditLog(Interface):
    """
    The record of acts: of those that change something, and of those that are refused.  May be used in any thread.

    An entry is a mapping with at least ``event``, of values that JSON has.  It gets the time of the call.  Entries stay
    in the order in which they come.
    """

    problem: str = Attribute("Why entries cannot be recorded now; empty if they can.")
    is_required: bool = Attribute("Whether nothing may be changed while entries cannot be recorded.")

    def append(entry: Mapping[str, Any]) -> None:
        """
        Record an entry soon.  Does not block, and never raises; if the entry cannot be recorded, it is counted.

        Args:
            entry: the fields, which do not change afterwards.
        """

    def record(entry: Mapping[str, Any]) -> "Future[None]":
        """
        Record an entry now.  Does not block.

        Args:
            entry: the fields, which do not change afterwards.

        Returns:
            Done with ``None`` once the entry is durable; fails with ``AuditUnavailable``.
        """
