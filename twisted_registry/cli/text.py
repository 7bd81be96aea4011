"""
Text for people.

Text from outside may contain control characters, so it never reaches a terminal unescaped.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

PLAIN = re.compile(r"[A-Za-z0-9_%./:@+~-]{1,512}")
"""Text that is safe on a terminal and in a shell."""

_EXPANDED = ("-", "~")
"""The prefixes of words that are read as an option or a home directory."""

_MAX_LINE_CHARACTERS = 2000
_NS = 1_000_000_000

_SIZE_BASE = 1000
_SIZE_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")

_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def is_word(text: str) -> bool:
    """
    Return whether a shell and the command take text as one literal word.
    """
    return PLAIN.fullmatch(text) is not None and not text.startswith(_EXPANDED)


def harmless(text: str) -> str:
    """
    Return text unchanged if it is plain; otherwise quoted, escaped and truncated.
    """
    # Imported late: the help does not need it.
    from twisted_registry.domain.errors import shown

    return text if PLAIN.fullmatch(text) else shown(text)


def harmless_id(model_id: str) -> str:
    """
    Return a model's id in full: unchanged if it is plain, otherwise quoted and escaped.
    """
    return model_id if PLAIN.fullmatch(model_id) else ascii(model_id)


def harmless_line(text: str) -> str:
    """
    Return a sentence as one line, with everything that is not printable ASCII escaped.
    """
    if text.isascii() and text.isprintable():
        return text
    return ascii(text)[1:-1][:_MAX_LINE_CHARACTERS]


def pairs(metadata: Mapping[str, str]) -> str:
    """
    Return metadata as ``KEY=VALUE KEY=VALUE``, ordered by key.
    """
    return " ".join(f"{harmless(key)}={harmless(value) if value else ''}" for key, value in sorted(metadata.items()))


def size(size_bytes: int) -> str:
    """
    Return a size in its largest decimal unit, such as ``10.0 MB``.
    """
    if size_bytes < _SIZE_BASE:
        return "1 byte" if size_bytes == 1 else f"{size_bytes:,} bytes"
    exponent = 1
    while size_bytes >= _SIZE_BASE ** (exponent + 1) and exponent < len(_SIZE_UNITS):
        exponent += 1
    return f"{size_bytes / _SIZE_BASE**exponent:,.1f} {_SIZE_UNITS[exponent - 1]}"


def duration(seconds: float) -> str:
    """
    Return a duration in its largest unit, such as ``3 min``.
    """
    for unit_seconds, unit in _AGES:
        if seconds >= unit_seconds:
            return f"{int(seconds // unit_seconds)} {unit}"
    return "0 s"


def age(created_ns: int) -> str:
    """
    Return how long ago something was created.
    """
    return duration((time.time_ns() - created_ns) / _NS)


def timestamp(created_ns: int) -> str:
    """
    Return a timestamp to the second, in UTC.
    """
    return f"{datetime.fromtimestamp(created_ns // _NS, UTC):%Y-%m-%d %H:%M:%S}Z"


def exact_timestamp(created_ns: int) -> str:
    """
    Return a timestamp to the nanosecond, in RFC 3339 format.
    """
    seconds, fraction_ns = divmod(created_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction_ns:09d}Z"
