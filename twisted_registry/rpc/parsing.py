"""
Requests parsed within bounds: while one is parsed, all other calls wait.
"""

import asyncio
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from twisted_registry.domain.errors import InvalidRequest, TooLarge
from twisted_registry.domain.models import MAX_ENTRIES
from twisted_registry.protocol.limits import REQUEST_MAX_BYTES

M = TypeVar("M", bound=Message)

_SAFE_BYTES = 64 * 1024
"""A message of this size has too few fields to hold up other calls."""

_FIELDS_AT_ONCE = 2048
_FIRST_TAG = 0x0A
"""The tag of field 1 with a length: the entries that a long request names."""


def parse(message_class: type[M], raw: bytes, most_bytes: int = REQUEST_MAX_BYTES) -> M:
    """
    Parse a message, if it is not too long.

    Raises:
        TooLarge: it has more bytes than allowed.
        InvalidRequest: the bytes are not such a message.
    """
    if len(raw) > most_bytes:
        raise TooLarge(
            f"the {message_class.DESCRIPTOR.name} has {len(raw)} bytes; at most {most_bytes} are accepted: ask for "
            "less in one call"
        )
    try:
        return message_class.FromString(raw)
    except DecodeError:
        raise InvalidRequest(f"the bytes sent are not a {message_class.DESCRIPTOR.full_name}") from None


async def parse_long(message_class: type[M], raw: bytes, most_bytes: int) -> M:
    """
    Parse a message that may be long, if it does not have too many fields: millions would take a second and hundreds of
    megabytes.  They are counted a few at a time.

    Raises:
        TooLarge: it has more bytes, or more fields, than allowed.
        InvalidRequest: the bytes are not such a message.
    """
    if _SAFE_BYTES < len(raw) <= most_bytes:
        position = fields = 0
        while position < len(raw):
            position = _after_fields(raw, position)
            fields += _FIELDS_AT_ONCE
            if fields > MAX_ENTRIES + _FIELDS_AT_ONCE:
                raise TooLarge(
                    f"the request names more than {MAX_ENTRIES} entries; ask for at most {MAX_ENTRIES} in one call"
                )
            await asyncio.sleep(0)
    return parse(message_class, raw, most_bytes)


def _after_fields(raw: bytes, position: int) -> int:
    """
    Skip a few fields of a message.

    Returns:
        where the next field begins, or the end of the bytes; even if they are not a message.
    """
    end = len(raw)
    for _ in range(_FIELDS_AT_ONCE):
        if position >= end:
            break
        # The usual case: the tag and the length take one byte each.
        if position + 1 < end and raw[position] == _FIRST_TAG and raw[position + 1] < 0x80:
            position += 2 + raw[position + 1]
            continue
        tag, position = _varint(raw, position)
        kind = tag & 7
        if kind == 0:
            _, position = _varint(raw, position)
        elif kind == 1:
            position += 8
        elif kind == 2:
            length, position = _varint(raw, position)
            position += length
        elif kind == 5:
            position += 4
    return min(position, end)


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(raw[position : position + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, position + shift + 1
    return value, len(raw)
