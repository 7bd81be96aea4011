"""
The caller that a registry sees in the user of the command line.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import frozen

from twisted_registry.cli.text import harmless_id, timestamp

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_CALLER = "caller"
_TOKEN_ID = "caller_token_id"
_ENDS = "caller_ends_seconds"
_WITHOUT_ACCESS_CONTROL = "anyone"

_NS = 10**9


@frozen
class CallerFacts:
    """
    The statuses of a registry about its caller.

    Attributes:
        name: who it is, such as ``token:trainer``; empty if the registry does not say.
        token_id: the id of its token; empty for none.
        ends_seconds: when its credentials end, in seconds since the Unix epoch; ``None`` if they do not.
    """

    name: str = ""
    token_id: str = ""
    ends_seconds: int | None = None

    @property
    def is_anyone(self) -> bool:
        """
        True if the registry has no access control.
        """
        return self.name == _WITHOUT_ACCESS_CONTROL

    @property
    def ends(self) -> str:
        """
        When the credentials end, for people; ``never`` if they do not.
        """
        with suppress(ValueError, OverflowError):
            return "never" if self.ends_seconds is None else timestamp(self.ends_seconds * _NS)
        return str(self.ends_seconds)

    def __str__(self) -> str:
        token = f" (token {harmless_id(self.token_id)})" if self.token_id else ""
        ends = "" if self.ends_seconds is None else f", until {self.ends}"
        return f"{harmless_id(self.name)}{token}{ends}"


def ask_for_caller(client: "BlockingClient") -> CallerFacts:
    """
    Return who the user is for a registry.

    Raises:
        RegistryError: the registry does not answer, or does not say it to this caller.
    """
    found = client.statuses(_CALLER, _TOKEN_ID, _ENDS)
    ends = found.get(_ENDS, "")
    ends_seconds = int(ends) if ends.isascii() and ends.isdecimal() and len(ends) <= 15 else None
    return CallerFacts(found.get(_CALLER, ""), found.get(_TOKEN_ID, ""), ends_seconds)
