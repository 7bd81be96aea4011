"""
Lines of the log, as text and as JSON.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from twisted.logger import LogEvent, LogLevel, formatEvent, formatTime

OWN = "twisted_registry"
"""The beginning of the names of this package's loggers."""

_TEXT_MAX_CHARACTERS = 256

FIELDS = {
    "request_id": "request_id",
    "incident": "incident",
    "method": "method",
    "path": "path",
    "peer": "peer",
    "identity": "identity",
    "token_id": "token_id",
    "id": "model",
    "model_id": "model",
    "archive": "archive",
    "times": "times",
}
"""The values of events that have a separate field in JSON, beside the message that contains them, with its name."""

Fields = Iterable[tuple[str, str | int | float]]
"""The names and values of fields."""

Form = Callable[[float, str, str, str, Fields], str]
"""A function of the time in seconds since the Unix epoch, the level, the logger, the message and the fields."""


def event_as_json(event: LogEvent) -> str:
    """
    Return an event as a line of JSON, with the fields that the operator's guide lists.
    """
    level, failure = event.get("log_level"), event.get("log_failure")
    fields: dict[str, str | int | float] = {}
    if str(event.get("log_namespace")).startswith(OWN):
        fields = {field: _simple(event[name]) for name, field in FIELDS.items() if event.get(name) not in (None, "")}
    if failure is not None:
        fields["traceback"] = failure.getTraceback()
    return json_line(
        event.get("log_time", 0.0),
        "info" if level is None else level.name,
        event.get("log_namespace") or event.get("log_system") or "-",
        formatEvent(event),
        fields.items(),
    )


def _simple(value: object) -> str | int | float:
    if isinstance(value, int | float):
        return value
    return bounded(value.decode("latin-1") if isinstance(value, bytes) else str(value))


def json_line(when: float, level: str, logger: str, message: str, fields: Fields) -> str:
    """
    Return a line of JSON.

    Args:
        when: the time in seconds since the Unix epoch.
        fields: further fields.
    """
    seconds = int(when)
    rest = "".join(f', "{name}": {_json(value)}' for name, value in fields)
    # Faster than an object for the encoder, which would be made for each line.
    return (
        f'{{"time": "{_utc(seconds)}.{int((when - seconds) * 1_000_000):06d}Z", "level": "{level}", '
        f'"logger": {_quoted(logger)}, "message": {_quoted(message)}{rest}}}\n'
    )


def _json(value: str | int | float) -> str:
    return _quoted(value) if isinstance(value, str) else repr(value)


def text_line(when: float, level: str, logger: str, message: str, fields: Fields) -> str:
    """
    Return a line of text, as Twisted writes them.

    Args:
        when: the time in seconds since the Unix epoch.
        fields: further fields, which are in the message too.
    """
    return f"{_local(int(when))} [{logger}#{level}] {message}\n"


@lru_cache(maxsize=4)
def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4)
def _local(seconds: int) -> str:
    return formatTime(seconds)


def bounded(text: str) -> str:
    """
    Return the beginning of a text that a client may have chosen.
    """
    return text[:_TEXT_MAX_CHARACTERS]


def event_at_warn(text: str, **values: Any) -> LogEvent:
    """
    Return an event at level warn, as the daemon's loggers make them.
    """
    return {
        "log_time": time.time(),
        "log_level": LogLevel.warn,
        "log_namespace": "twisted_registry",
        "log_format": text,
        **values,
    }
