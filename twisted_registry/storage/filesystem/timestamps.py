"""
RFC 3339 to and from nanoseconds, exactly: the usual types for times end at microseconds.
"""

import re
from datetime import UTC, date, datetime, timedelta

from twisted_registry.storage.filesystem.failures import Malformed

_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_NS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def timestamp_ns(text: str) -> int:
    """
    Read an RFC 3339 timestamp: any offset, 0 to 9 digits of a second, and not one of them lost.

    Returns:
        nanoseconds since the Unix epoch.

    Raises:
        Malformed: it is none, or lies before the epoch or beyond 64 bits.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise Malformed("its creation_timestamp is not in RFC 3339")
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    fraction, sign, offset_hours, offset_minutes = match.group(7, 8, 9, 10)
    offset = (int(offset_hours) * 60 + int(offset_minutes)) * 60 if sign else 0
    if hour > 23 or minute > 59 or second > 59 or offset >= 86400 or int(offset_minutes or 0) > 59:
        raise Malformed("its creation_timestamp is not a time of day")
    seconds = _days(year, month, day) * 86400 + (hour * 60 + minute) * 60 + second
    seconds += offset if sign == "-" else -offset
    nanoseconds = seconds * _NS + int((fraction or "").ljust(9, "0"))
    if not 0 <= nanoseconds < 2**64:
        raise Malformed("its creation_timestamp is before 1970 or after 2554")
    return nanoseconds


def _days(year: int, month: int, day: int) -> int:
    try:
        return date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        raise Malformed("its creation_timestamp is not a date") from None


def timestamp(created_ns: int) -> str:
    """
    Write nanoseconds since the Unix epoch in RFC 3339, always in UTC and with all nine digits.
    """
    seconds, nanoseconds = divmod(created_ns, _NS)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
