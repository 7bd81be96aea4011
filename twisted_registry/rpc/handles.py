"""
The handles of the paged calls.

Models and versions that were not asked for by name are paged by decimal handles: an offset, or the number to go on
with.  A list that was asked for by version numbers is paged by opaque ones.
"""

import re

from twisted_registry.domain.errors import InvalidRequest, shown

_DECIMAL = re.compile(r"[0-9]+", re.ASCII)
_LISTED = re.compile(r"listed:([0-9]+)", re.ASCII)
_MOST_DIGITS = 18
PAST_ALL = 10**_MOST_DIGITS
"""More than there can ever be of anything."""


def _number(digits: str) -> int:
    # A handle may have any number of digits; Python refuses to read very many.
    significant = digits.lstrip("0")
    return PAST_ALL if len(significant) > _MOST_DIGITS else int(significant or "0")


def parse_decimal(handle: str) -> int:
    """
    Read a decimal handle; an empty one is 0.

    Raises:
        InvalidRequest: it is no non-negative decimal.
    """
    if not handle:
        return 0
    if not _DECIMAL.fullmatch(handle):
        raise InvalidRequest(
            f"the handle {shown(handle)} is no non-negative decimal; leave it empty to begin, "
            "then pass what the last reply gave"
        )
    return _number(handle)


def parse_listed(handle: str) -> int:
    """
    Read a handle of a list that was asked for by version numbers: an offset into it.

    Raises:
        InvalidRequest: it is no such handle.
    """
    if handle in ("", "0"):
        return 0
    match = _LISTED.fullmatch(handle)
    if match is None:
        raise InvalidRequest(
            f"the handle {shown(handle)} does not continue a list of version numbers; leave it empty to begin, "
            "then pass what the reply to a request with versions_count gave"
        )
    return _number(match.group(1))


def format_listed(offset: int) -> str:
    """
    Write a handle of a list that was asked for by version numbers.
    """
    return f"listed:{offset}"
