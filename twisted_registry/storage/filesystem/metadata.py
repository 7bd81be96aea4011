"""
The YAML files, to and from values.

Written so that Go's yaml.v2, with which the existing server reads them, takes them as they were meant: all that people
name is double-quoted, with every character beyond ASCII escaped (yaml.v2 misreads a raw U+0085), and nothing folded::

    model_id: "my_model"
    version_number: 2
    creation_timestamp: 2021-10-01T20:10:05.107454600Z
    data_hash: jY0g3VkUK62ILPr2JuaW5g7uQi0EcJVZJu8IYp3yfhI=
    data_size: 14
    user_data:
      "a": "="
    transient: true                             (only where the version is not archived)

Read as text and nothing else: a YAML library's own types cut nanoseconds, take ``n: 1`` for a number and refuse ``a:
=``. Reading goes from event to event and stops at the first one that has no place here, or when there are more than any
client can have caused, because composing a whole document first takes libyaml minutes where someone nested brackets a
hundred thousand deep.  Aliases stand for nothing.  Directives are refused before libyaml sees them: it compares each
with all others, in one call that holds all threads for 11 s where a file of 1 MiB is full of them.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import yaml
from attrs import frozen

from twisted_registry.domain.models import MAX_USER_DATA_BYTES, ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.failures import Malformed

MAX_METADATA_BYTES = 4 * MAX_USER_DATA_BYTES + 4096
"""
The largest file that a client can have caused; a larger one is none of these, and would take long to parse.

User data is bounded as it is encoded on the wire, where a pair takes at least 6 bytes beside its texts.  Here a byte of
text takes at most 4, such as a control character written ``\\x01``, and a pair 9 to 14 more for its quotes and its
line. So user data takes at most 4 times its bound.  The rest holds the other fields, of which the longest is a model's
id of 200 bytes, at 3 for each.
"""

_MOST_EVENTS = 2 * (MAX_USER_DATA_BYTES // 6) + 1000
"""Two for each pair, and the other fields, as above.  Denser YAML of the same size would take ten times as long."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_BINARY_TAG = "tag:yaml.org,2002:binary"
_UNFOLDED = 2**31 - 1
_DEEPEST_PASSED_OVER = 16
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUES = frozenset({"true", "yes", "on", "y"})
_FALSES = frozenset({"false", "no", "off", "n"}) | {text.lower() for text in _NULLS}
_SIZE = re.compile(r"[0-9]{1,19}")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DIRECTIVE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\n\r]|\xc2\x85|\xe2\x80[\xa8\xa9])%")
"""At the beginning of a line, however that is broken."""

_CLAIMS = ("model_id", "version_number")

_Fields = dict[str, "str | dict[str, str] | None"]


@frozen
class Claims:
    """
    What a version's file says of what the names are the authority on.

    Attributes:
        model_id: its model; empty where it says none.
        version_number: its number, as it is written; empty where it says none.
    """

    model_id: str
    version_number: str


# --- Reading ---------------------------------------------------------------------------------------------------------


def parse_model(content: bytes) -> ModelInfo:
    """
    Read a model's file.

    Returns:
        the model; its id is the one the file claims, empty where it claims none.

    Raises:
        Malformed: it is damaged.
    """
    fields = _parse(content)
    model_id = fields.get("model_id")
    return ModelInfo(model_id if isinstance(model_id, str) else "", _metadata(fields))


def parse_version(content: bytes, model_id: str, version_number: int) -> VersionInfo:
    """
    Read a version's file.

    Args:
        model_id: the id, which the folder's name tells.
        version_number: the number, which the file's name tells.

    Raises:
        Malformed: it is damaged.
    """
    return _version(_parse(content), model_id, version_number)


def parse_version_and_claims(content: bytes, model_id: str, version_number: int) -> tuple[VersionInfo, Claims]:
    """
    Read a version's file, and also what it says for people to read.

    Raises:
        Malformed: it is damaged.
    """
    fields = _parse(content)
    claims = Claims(*(value if isinstance(value := fields.get(name), str) else "" for name in _CLAIMS))
    return _version(fields, model_id, version_number), claims


def _version(fields: _Fields, model_id: str, version_number: int) -> VersionInfo:
    return VersionInfo(
        model_id=model_id,
        version_number=version_number,
        created_ns=timestamp_ns(_text_field(fields, "creation_timestamp")),
        archived=not _transient(fields),
        sha256=_hash(_text_field(fields, "data_hash")),
        size_bytes=_size(_text_field(fields, "data_size")),
        metadata=_metadata(fields),
    )


def _parse(content: bytes) -> _Fields:
    if content.startswith(_UTF_16):
        raise Malformed("it is not UTF-8")
    if b"%" in content and _DIRECTIVE.search(content):  # nearly no file has one, and a search takes as long as the rest
        raise Malformed("a line in it begins with %, as a directive does")
    try:
        events = yaml.parse(content, Loader=_LOADER)
        # Each event takes a byte at least.
        return _document(events if len(content) < _MOST_EVENTS else _bounded(events))
    except yaml.YAMLError as error:
        raise Malformed(f"it is not YAML: {_problem_of(error)}") from error
    except (ValueError, OverflowError) as error:
        raise Malformed("it holds text that is not Unicode") from error


def _bounded(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    yield from islice(events, _MOST_EVENTS)
    if next(events, None) is not None:
        raise Malformed("it holds more values than a client can have stored")


def _problem_of(error: yaml.YAMLError) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    place = f" in line {mark.line + 1}" if mark is not None else ""
    return f"{problem or 'it holds bytes that YAML does not allow'}{place}"


def _document(events: Iterator[yaml.Event]) -> _Fields:
    _expect(events, yaml.StreamStartEvent, "it cannot be read")
    _expect(events, yaml.DocumentStartEvent, "it is empty")
    _expect(events, yaml.MappingStartEvent, "it is not a mapping")
    fields = _fields(events)
    _expect(events, yaml.DocumentEndEvent, "it goes on after its end")
    _expect(events, yaml.StreamEndEvent, "it goes on after its end")
    return fields


def _expect(events: Iterator[yaml.Event], kind: type[yaml.Event], otherwise: str) -> None:
    if not isinstance(next(events, None), kind):
        raise Malformed(otherwise)


def _fields(events: Iterator[yaml.Event]) -> _Fields:
    fields: _Fields = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        key = _text(event)
        fields[key] = _value(key, next(events), events)
    return fields


def _value(key: str, event: yaml.Event, events: Iterator[yaml.Event]) -> str | dict[str, str] | None:
    if isinstance(event, yaml.ScalarEvent):
        return _text(event)
    if key == "user_data" and isinstance(event, yaml.MappingStartEvent):
        return _strings(events)
    _pass_over(event, events)
    return None


def _strings(events: Iterator[yaml.Event]) -> dict[str, str]:
    strings: dict[str, str] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        strings[_text(event)] = _text(next(events))
    return strings


def _text(event: yaml.Event) -> str:
    if not isinstance(event, yaml.ScalarEvent) or event.tag == _BINARY_TAG:
        raise Malformed("it holds something else where text should be")
    value: str = event.value
    if not value.isascii():
        value.encode("utf-8")  # The loader without libyaml lets half a surrogate pair through.
    return value


def _pass_over(event: yaml.Event, events: Iterator[yaml.Event]) -> None:
    # Fields of a later day may hold anything that is not absurd.
    depth = 0
    while True:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth <= 0:
            return
        if depth > _DEEPEST_PASSED_OVER:
            raise Malformed("it is nested too deeply")
        event = next(events)


# --- Fields ----------------------------------------------------------------------------------------------------------


def _text_field(fields: _Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Malformed(f"it has no {name}")
    return value


def _metadata(fields: _Fields) -> dict[str, str]:
    value = fields.get("user_data", "")
    if isinstance(value, dict):
        return value
    if value in _NULLS:
        return {}
    raise Malformed("its user_data is not a mapping")


def _transient(fields: _Fields) -> bool:
    value = fields.get("transient", "")
    text = value.lower() if isinstance(value, str) else None
    if text in _TRUES or text in _FALSES:
        return text in _TRUES
    raise Malformed("its transient is neither true nor false")


def _size(text: str) -> int:
    if not _SIZE.fullmatch(text):
        raise Malformed("its data_size is not a size")
    return int(text)


def _hash(text: str) -> str:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32 or base64.b64encode(digest).decode("ascii") != text:
        raise Malformed("its data_hash is not a SHA-256 in base64")
    return text


# --- Writing ---------------------------------------------------------------------------------------------------------


def dump_model(info: ModelInfo) -> bytes:
    """
    Write a model's file.
    """
    return _dump([*_quoted_field("model_id", info.model_id), *_metadata_events(info.metadata)])


def dump_version(info: VersionInfo) -> bytes:
    """
    Write a version's file.
    """
    return _dump(
        [
            *_quoted_field("model_id", info.model_id),
            *_plain_field("version_number", str(info.version_number)),
            *_plain_field("creation_timestamp", timestamp(info.created_ns)),
            *_plain_field("data_hash", info.sha256),
            *_plain_field("data_size", str(info.size_bytes)),
            *_metadata_events(info.metadata),
            *([] if info.archived else _plain_field("transient", "true")),
        ]
    )


def _dump(fields: list[yaml.Event]) -> bytes:
    events = [
        yaml.StreamStartEvent(),
        yaml.DocumentStartEvent(explicit=False),
        yaml.MappingStartEvent(anchor=None, tag=None, implicit=True, flow_style=False),
        *fields,
        yaml.MappingEndEvent(),
        yaml.DocumentEndEvent(explicit=False),
        yaml.StreamEndEvent(),
    ]
    text: str = yaml.emit(events, Dumper=_DUMPER, width=_UNFOLDED, allow_unicode=False)
    return text.encode("ascii")


def _scalar(text: str, style: str | None) -> yaml.ScalarEvent:
    return yaml.ScalarEvent(anchor=None, tag=None, implicit=(True, True), value=text, style=style)


def _plain_field(name: str, text: str) -> list[yaml.Event]:
    return [_scalar(name, None), _scalar(text, None)]


def _quoted_field(name: str, text: str) -> list[yaml.Event]:
    return [_scalar(name, None), _scalar(text, '"')]


def _metadata_events(metadata: Mapping[str, str]) -> list[yaml.Event]:
    texts = [_scalar(text, '"') for key in sorted(metadata) for text in (key, metadata[key])]
    start = yaml.MappingStartEvent(anchor=None, tag=None, implicit=True, flow_style=not metadata)
    return [_scalar("user_data", None), start, *texts, yaml.MappingEndEvent()]


# --- Timestamps ------------------------------------------------------------------------------------------------------


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
