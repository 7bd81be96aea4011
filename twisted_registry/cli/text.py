"""
Text for people.

Nothing that comes from elsewhere reaches a terminal as it is: it may hold control characters.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.filesize import decimal

from twisted_registry.domain.errors import shown

PLAIN = re.compile(r"[A-Za-z0-9_%./:@+~-]{1,512}")
"""Text that harms neither a terminal nor a shell."""

_EXPANDED = ("-", "~")
"""A word that begins so is an option, or somebody's home."""

_MOST_LINE_CHARACTERS = 2000
_NS = 1_000_000_000

_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def is_word(text: str) -> bool:
    """
    Say whether a shell, and then the command, takes text as a word that means just that.
    """
    return PLAIN.fullmatch(text) is not None and not text.startswith(_EXPANDED)


def harmless(text: str) -> str:
    """
    Give text as it is where it is plain; quoted, escaped and cut short where it is not.
    """
    return text if PLAIN.fullmatch(text) else shown(text)


def harmless_id(model_id: str) -> str:
    """
    Give a model's id, in full: as it is where it is plain, quoted and escaped where it is not.
    """
    return model_id if PLAIN.fullmatch(model_id) else ascii(model_id)


def harmless_line(text: str) -> str:
    """
    Give a sentence in one line, with what is not plain in it escaped.
    """
    if text.isascii() and text.isprintable():
        return text
    return ascii(text)[1:-1][:_MOST_LINE_CHARACTERS]


def pairs(metadata: Mapping[str, str]) -> str:
    """
    Give user data as ``KEY=VALUE KEY=VALUE``, ordered by key.
    """
    return " ".join(f"{harmless(key)}={harmless(value) if value else ''}" for key, value in sorted(metadata.items()))


def size(size_bytes: int) -> str:
    """
    Give a size, such as ``10.0 MB``.
    """
    return decimal(size_bytes)


def duration(seconds: float) -> str:
    """
    Give a time in its largest unit, such as ``3 min``.
    """
    for unit_seconds, unit in _AGES:
        if seconds >= unit_seconds:
            return f"{int(seconds // unit_seconds)} {unit}"
    return "0 s"


def age(created_ns: int) -> str:
    """
    Give how long ago something was.
    """
    return duration((time.time_ns() - created_ns) / _NS)


def timestamp(created_ns: int) -> str:
    """
    Give a moment to the second, in UTC.
    """
    return f"{datetime.fromtimestamp(created_ns // _NS, UTC):%Y-%m-%d %H:%M:%S}Z"


def exact_timestamp(created_ns: int) -> str:
    """
    Give a moment to the nanosecond, as RFC 3339 has it.
    """
    seconds, rest_ns = divmod(created_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"
