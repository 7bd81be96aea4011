"""
The fields of versions and models that filters and orders can name, and the values they can be compared with.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any

from attrs import field, frozen

from twisted_registry.domain.errors import shown
from twisted_registry.domain.filter_syntax import Value

Get = Callable[[Any], Any]
"""A function that returns the value of a field of a record, or ``None`` if the record has none."""

_NUMBER = re.compile(r"-?(?:[0-9]+(?P<fraction>\.[0-9]*)?|(?P<only>\.[0-9]+))(?P<exponent>[eE][-+]?[0-9]{1,5})?")
_INFINITE = {"Infinity": float("inf"), "-Infinity": float("-inf"), "inf": float("inf"), "-inf": float("-inf")}
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d))?", re.ASCII)
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)([smhd])", re.ASCII)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_HEX = re.compile(r"[0-9a-fA-F]*")
_MAX_NUMBER_CHARACTERS = 60
_SHA256_BYTES = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS = 1_000_000_000


class Kind(Enum):
    """
    The kinds of fields, each with what a value of it looks like.
    """

    NUMBER = "a number"
    FLAG = "true or false"
    TEXT = "text"
    SHA256 = "a SHA-256 in hexadecimal or standard base64"
    TIME = 'a time, as in "2026-01-31T12:00:00Z", or a date'
    AGE = "a duration, as in 90s, 15m, 12h or 7d"
    NAMES = "a name"
    MAP = "a key"


@frozen
class Field:
    """
    A field, or an entry of a field that is a map.

    Attributes:
        path: its name, and the key of the entry.
        kind: the kind of its values.
        get: returns its value; ``None`` if the record has none.
    """

    path: tuple[str, ...]
    kind: Kind
    get: Get = field(eq=False, repr=False)

    def literal(self, value: Value) -> Any:
        """
        Return what a value in a filter stands for.

        Raises:
            ValueError: it cannot be compared with this field; the text says what is expected.
        """
        found = _LITERALS.get(self.kind, _text)(value)
        if found is None:
            raise ValueError(f"expected {self.kind.value}, found {shown(value.text)}")
        return found


@frozen
class Fields:
    """
    The fields of a kind of record.

    Attributes:
        scalars: fields with a single value, by name.
        maps: fields with entries, by name, each with the kind of its entries.
        tie_break: the field that orders records which are equal otherwise; no two have the same value.
    """

    scalars: Mapping[str, Field]
    maps: Mapping[str, Kind]
    tie_break: Field

    @property
    def names(self) -> str:
        """
        The names of all fields, for an error.
        """
        return ", ".join([*self.scalars, *(f"{name}.KEY" for name in self.maps)])

    def find(self, path: tuple[str, ...]) -> Field:
        """
        Return the field at a path.

        Raises:
            ValueError: there is none; the text says what to write.
        """
        name, *keys = path
        if name in self.maps:
            if not keys:
                return Field(path, Kind.MAP, attrgetter(name))
            if len(keys) > 1:
                key = ".".join(keys).replace("\\", "\\\\").replace('"', '\\"')
                raise ValueError(f'a key with dots is written in quotes, as in {name}."{key[:80]}"')
            return Field(path, self.maps[name], _entry(name, keys[0]))
        if name not in self.scalars:
            raise ValueError(f"there is no field {shown(name)}; expected one of {self.names}")
        if keys:
            raise ValueError(f"{name} has no entries")
        return self.scalars[name]


def _entry(name: str, key: str) -> Get:
    get_map = attrgetter(name)
    return lambda record: get_map(record).get(key)


def _number(value: Value) -> float | None:
    text = value.text
    if text in _INFINITE:
        return _INFINITE[text]
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_NUMBER_CHARACTERS else None
    if match is None:
        return None
    is_integer = not (match["fraction"] or match["only"] or match["exponent"])
    return int(text) if is_integer else float(text)


def _flag(value: Value) -> bool | None:
    return {"true": True, "false": False}.get(value.text)


def _text(value: Value) -> str:
    return value.text


def _sha256(value: Value) -> str | None:
    text = value.text.replace("*", "") if value.stars else value.text
    if _HEX.fullmatch(text):
        return value.text.lower()
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return None if value.stars or len(data) != _SHA256_BYTES else data.hex()


def _time_ns(value: Value) -> int | None:
    match = _TIME.fullmatch(value.text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    zone = match[8] or "Z"
    try:
        offset = UTC
        if zone not in "Zz":
            minutes = int(zone[1:3]) * 60 + int(zone[4:6])
            offset = timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes))
        since = datetime(year, month, day, hour, minute, second, tzinfo=offset) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return (since.days * 86_400 + since.seconds) * _NS + int((match[7] or "").ljust(9, "0"))


def _duration_ns(value: Value) -> int | None:
    match = _DURATION.fullmatch(value.text)
    return None if match is None else int(Decimal(match[1]) * _UNIT_SECONDS[match[2]] * _NS)


_LITERALS: dict[Kind, Callable[[Value], Any]] = {
    Kind.NUMBER: _number,
    Kind.FLAG: _flag,
    Kind.SHA256: _sha256,
    Kind.TIME: _time_ns,
    Kind.AGE: _duration_ns,
}


def _hexadecimal(record: Any) -> str | None:
    try:
        return base64.b64decode(record.sha256).hex() or None
    except binascii.Error:
        return None  # a damaged record has no hash


def _scalar(name: str, kind: Kind, attribute: str = "") -> Field:
    return Field((name,), kind, attrgetter(attribute or name))


def _by_name(*fields: Field) -> dict[str, Field]:
    return {each.path[0]: each for each in fields}


CREATED = _scalar("created", Kind.TIME, "created_ns")

VERSION_FIELDS = Fields(
    _by_name(
        _scalar("number", Kind.NUMBER),
        CREATED,
        _scalar("age", Kind.AGE, "created_ns"),
        _scalar("archived", Kind.FLAG),
        _scalar("created_by", Kind.TEXT),
        _scalar("size_bytes", Kind.NUMBER),
        Field(("sha256",), Kind.SHA256, _hexadecimal),
        _scalar("aliases", Kind.NAMES),
    ),
    {"metadata": Kind.TEXT, "labels": Kind.TEXT, "metrics": Kind.NUMBER},
    _scalar("number", Kind.NUMBER),
)
"""The fields of a ``VersionRecord``, or of anything with the same attributes."""

MODEL_FIELDS = Fields(
    _by_name(
        _scalar("model_id", Kind.TEXT),
        _scalar("latest_number", Kind.NUMBER),
        _scalar("version_count", Kind.NUMBER),
        _scalar("archived_count", Kind.NUMBER),
        _scalar("aliases", Kind.NAMES),
    ),
    {"metadata": Kind.TEXT},
    _scalar("model_id", Kind.TEXT),
)
"""The fields of a ``ModelRecord``, or of anything with the same attributes."""
