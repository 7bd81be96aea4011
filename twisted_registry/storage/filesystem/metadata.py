"""
The YAML files of an archive, to and from values.

They are written so that Go's yaml.v2 reads them correctly, because the existing registry uses it: all text that people
choose is double-quoted, with every character beyond ASCII escaped (yaml.v2 misreads a raw U+0085), and lines are not
folded::

    model_id: "my_model"
    version_number: 2
    creation_timestamp: 2021-10-01T20:10:05.107454600Z
    data_hash: jY0g3VkUK62ILPr2JuaW5g7uQi0EcJVZJu8IYp3yfhI=
    data_size: 14
    user_data:
      "a": "="
    created_by: "token:ci"                      (only with access control)
    transient: true                             (only if the version is not archived)

All values are read as text, because a YAML library's own types truncate nanoseconds, take ``n: 1`` for a number and
reject ``a: =``.  Reading goes from event to event and stops at the first unexpected one, or when there are more events
than any client can have caused: composing a document first would take libyaml minutes for brackets nested a hundred
thousand deep.  Aliases are not resolved.  Directives are rejected before libyaml sees them, because it compares each
with all others, in a single call that blocks all threads for 11 s if a file of 1 MiB is full of them.
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
from twisted_registry.storage.filesystem.plain_metadata import parse_plain

MAX_METADATA_BYTES = 4 * MAX_USER_DATA_BYTES + 4096
"""
The size in bytes of the largest file that a client can have caused.  A larger file is not one of these, and would take
long to parse.

The limit on metadata applies to its encoding on the wire, where a pair takes at least 6 bytes besides its text.  In
YAML, a byte of text takes at most 4, such as a control character written as ``\\x01``, and a pair takes 9 to 14 more
for its quotes and its line.  So metadata takes at most 4 times its limit.  The rest is for the other fields; the
longest are a creator of 512 bytes, at 4 bytes for each, and a model id of 200 bytes, at 3 bytes for each.
"""

_MAX_EVENTS = 2 * (MAX_USER_DATA_BYTES // 6) + 1000
"""Two for each pair, and the other fields.  Denser YAML of the same size would take ten times as long."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_BINARY_TAG = "tag:yaml.org,2002:binary"
_UNFOLDED = 2**31 - 1
_MAX_SKIPPED_DEPTH = 16
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUES = frozenset({"true", "yes", "on", "y"})
_FALSES = frozenset({"false", "no", "off", "n"}) | {text.lower() for text in _NULLS}
_SIZE = re.compile(r"[0-9]{1,19}")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DIRECTIVE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\n\r]|\xc2\x85|\xe2\x80[\xa8\xa9])%")
"""A percent sign at the beginning of a line, for every kind of line break."""

_CLAIMS = ("model_id", "version_number")

_Fields = dict[str, "str | dict[str, str] | None"]


@frozen
class Claims:
    """
    The id and the number in a version's file, which are for people: the names of the folder and the file determine
    them.

    Attributes:
        model_id: the model's id; empty if the file has none.
        version_number: the version's number as text; empty if the file has none.
    """

    model_id: str
    version_number: str


# --- Reading ---------------------------------------------------------------------------------------------------------


def parse_model(content: bytes) -> ModelInfo:
    """
    Parse a model's file.

    Returns:
        the model, with the id in the file; empty if the file has none.

    Raises:
        Malformed: the file is damaged.
    """
    fields = _parse(content)
    model_id = fields.get("model_id")
    return ModelInfo(model_id if isinstance(model_id, str) else "", _metadata(fields))


def parse_version(content: bytes, model_id: str, version_number: int) -> VersionInfo:
    """
    Parse a version's file.

    Args:
        model_id: the model's id, which the folder's name determines.
        version_number: the version's number, which the file's name determines.

    Raises:
        Malformed: the file is damaged.
    """
    return _version(parse_plain(content) or _parse(content), model_id, version_number)


def parse_version_and_claims(content: bytes, model_id: str, version_number: int) -> tuple[VersionInfo, Claims]:
    """
    Parse a version's file, including the id and the number in it.

    Raises:
        Malformed: the file is damaged.
    """
    fields = _parse(content)
    claims = Claims(*(value if isinstance(value := fields.get(name), str) else "" for name in _CLAIMS))
    return _version(fields, model_id, version_number), claims


def _version(fields: _Fields, model_id: str, version_number: int) -> VersionInfo:
    return VersionInfo(
        model_id=model_id,
        version_number=version_number,
        created_ns=parse_timestamp(_text_field(fields, "creation_timestamp")),
        archived=not _transient(fields),
        sha256=_sha256(_text_field(fields, "data_hash")),
        size_bytes=_size(_text_field(fields, "data_size")),
        metadata=_metadata(fields),
        created_by=created_by if isinstance(created_by := fields.get("created_by"), str) else "",
    )


def _parse(content: bytes) -> _Fields:
    if content.startswith(_UTF_16):
        raise Malformed("it is not UTF-8")
    if b"%" in content and _DIRECTIVE.search(content):  # the search takes as long as the rest, and few files need it
        raise Malformed("a line in it begins with %, like a directive")
    try:
        events = yaml.parse(content, Loader=_LOADER)
        # Each event takes at least one byte.
        return _document(events if len(content) < _MAX_EVENTS else _bounded(events))
    except yaml.YAMLError as error:
        raise Malformed(f"it is not YAML: {_describe_yaml_error(error)}") from error
    except (ValueError, OverflowError) as error:
        raise Malformed("it holds text that is not Unicode") from error


def _bounded(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    yield from islice(events, _MAX_EVENTS)
    if next(events, None) is not None:
        raise Malformed("it holds more values than a client can have stored")


def _describe_yaml_error(error: yaml.YAMLError) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    place = f" in line {mark.line + 1}" if mark is not None else ""
    return f"{problem or 'it holds bytes that YAML does not allow'}{place}"


def _document(events: Iterator[yaml.Event]) -> _Fields:
    _expect(events, yaml.StreamStartEvent, "it cannot be read")
    _expect(events, yaml.DocumentStartEvent, "it is empty")
    _expect(events, yaml.MappingStartEvent, "it is not a mapping")
    fields = _fields(events)
    _expect(events, yaml.DocumentEndEvent, "it continues after its end")
    _expect(events, yaml.StreamEndEvent, "it continues after its end")
    return fields


def _expect(events: Iterator[yaml.Event], kind: type[yaml.Event], reason: str) -> None:
    if not isinstance(next(events, None), kind):
        raise Malformed(reason)


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
    _skip(event, events)
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
        raise Malformed("it holds something other than text where text is expected")
    value: str = event.value
    if not value.isascii():
        value.encode("utf-8")  # The loader without libyaml accepts half a surrogate pair.
    return value


def _skip(event: yaml.Event, events: Iterator[yaml.Event]) -> None:
    # Fields of later versions may hold anything, up to a sane depth.
    depth = 0
    while True:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth <= 0:
            return
        if depth > _MAX_SKIPPED_DEPTH:
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


def _sha256(text: str) -> str:
    try:
        sha256 = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        sha256 = b""
    if len(sha256) != 32 or base64.b64encode(sha256).decode("ascii") != text:
        raise Malformed("its data_hash is not a SHA-256 in base64")
    return text


# --- Writing ---------------------------------------------------------------------------------------------------------


def dump_model(info: ModelInfo) -> bytes:
    """
    Return the content of a model's file.
    """
    return _dump([*_quoted_field("model_id", info.model_id), *_metadata_events(info.metadata)])


def dump_version(info: VersionInfo) -> bytes:
    """
    Return the content of a version's file.
    """
    return _dump(
        [
            *_quoted_field("model_id", info.model_id),
            *_plain_field("version_number", str(info.version_number)),
            *_plain_field("creation_timestamp", format_timestamp(info.created_ns)),
            *_plain_field("data_hash", info.sha256),
            *_plain_field("data_size", str(info.size_bytes)),
            *_metadata_events(info.metadata),
            *(_quoted_field("created_by", info.created_by) if info.created_by else []),
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


# --- Timestamps, in nanoseconds, which Python's types do not support -------------------------------------------------


_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_NS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def parse_timestamp(text: str) -> int:
    """
    Parse an RFC 3339 timestamp, with any offset and up to 9 digits of a second.

    Returns:
        nanoseconds since the Unix epoch.

    Raises:
        Malformed: it is not such a timestamp, or it is before the epoch or beyond 64 bits.
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


def format_timestamp(created_ns: int) -> str:
    """
    Return nanoseconds since the Unix epoch as an RFC 3339 timestamp, in UTC and with nine digits of a second.
    """
    seconds, nanoseconds = divmod(created_ns, _NS)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
