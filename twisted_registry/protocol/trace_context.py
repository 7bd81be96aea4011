"""
The context of traces in the metadata of calls: W3C's Trace Context (https://www.w3.org/TR/trace-context/).

A client sends the context of its span, and the server answers with that of the call's span.  Of a version that was
created in a trace, it also sends the context of the creation.  Whatever is not valid, or too long, is ignored.
"""

import re
from collections.abc import Iterable

Metadata = Iterable[tuple[str, str | bytes]]

TRACEPARENT_KEY = "traceparent"
TRACESTATE_KEY = "tracestate"

CREATION_KEY = "twisted-registry-creation-traceparent"
"""Trailing metadata: the context of the call that created the version."""

_TRACEPARENT = re.compile("(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_FUTURE_MAX_CHARACTERS = 256
_TRACESTATE_MAX_CHARACTERS = 512
_MEMBERS_MAX = 32
_MEMBER = re.compile(
    r"[ \t]*([a-z0-9][a-z0-9_*/-]{0,240}(@[a-z0-9][a-z0-9_*/-]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256})?[ \t]*",
    re.ASCII,
)


def valid_traceparent(value: str | bytes) -> str:
    """
    Return a context in the form of version 00; empty if it is not valid.  A later version may append fields.
    """
    if not isinstance(value, str) or len(value) > _FUTURE_MAX_CHARACTERS:
        return ""
    match = _TRACEPARENT.match(value)
    if match is None:
        return ""
    found, rest = match[0], value[match.end() :]
    is_valid = not rest or (not found.startswith("00") and rest.startswith("-"))
    return f"00{found[2:]}" if is_valid else ""


def trace_context_in(metadata: Metadata | None) -> tuple[str, str]:
    """
    Return the context of the caller's span, and the further context; both are empty if there is no valid one.  Of
    several contexts the last one counts: a library that adds one makes the call as a part of the others.
    """
    traceparent, states = "", []
    for key, value in metadata or ():
        if key == TRACEPARENT_KEY:
            traceparent = valid_traceparent(value)
        elif key == TRACESTATE_KEY and isinstance(value, str):
            states.append(value)
    return traceparent, _valid_tracestate(",".join(states)) if traceparent and states else ""


def _valid_tracestate(value: str) -> str:
    if len(value) > _TRACESTATE_MAX_CHARACTERS:
        return ""
    members = value.split(",")
    is_valid = len(members) <= _MEMBERS_MAX and all(_MEMBER.fullmatch(member) for member in members)
    return value if is_valid else ""


def creation_in(metadata: Metadata | None) -> str:
    """
    Return the context of the creation of a version; empty if there is no valid one.
    """
    for key, value in metadata or ():
        if key == CREATION_KEY:
            return valid_traceparent(value)
    return ""
