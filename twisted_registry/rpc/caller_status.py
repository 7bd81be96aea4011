"""
Statuses about the caller that asks for them.
"""

from collections.abc import Collection

from twisted_registry.domain.access import Caller

CALLER = "caller"
TOKEN_ID = "caller_token_id"
ENDS = "caller_ends_seconds"

WITHOUT_ACCESS_CONTROL = "anyone"
"""The caller of a registry that does not look at credentials."""

_ALL = "*"


def caller_status(caller: Caller | None, names: Collection[str]) -> dict[str, str]:
    """
    Return who makes a call, as named values.

    Args:
        caller: the caller; ``None`` without access control.
        names: the names of the values that are asked for; '*' stands for all of them.
    """
    values = {CALLER: WITHOUT_ACCESS_CONTROL} if caller is None else _values(caller)
    return {name: value for name, value in values.items() if name in names or _ALL in names}


def _values(caller: Caller) -> dict[str, str]:
    values = {CALLER: caller.identity.subject}
    if caller.identity.token_id:
        values[TOKEN_ID] = caller.identity.token_id
    if caller.identity.ends_seconds is not None:
        values[ENDS] = f"{caller.identity.ends_seconds:.0f}"
    return values
