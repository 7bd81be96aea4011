"""
Data inside messages, put in and taken out without protobuf touching it.

An upload's body is a ``CreateVersionRequestChunk`` that holds a ``Body``, a download's chunk a
``RetrieveVersionDataReplyChunk``; the former ends with the very bytes of the latter::

    CreateVersionRequestChunk   12 <length> | 0a <length> <data>
    RetrieveVersionDataReplyChunk             0a <length> <data>

Tags and varints: https://protobuf.dev/programming-guides/encoding/.
"""

BODY_TAG = 0x12
"""A ``CreateVersionRequestChunk``'s ``body``."""

DATA_TAG = 0x0A
"""A ``Body``'s and a ``RetrieveVersionDataReplyChunk``'s ``data_chunk``."""

_MOST_VARINT_BYTES = 5  # of a length below 4 GiB
_MOST_LONG_VARINT_BYTES = 10
_FIXED_BYTES = {1: 8, 5: 4}


def field_header(tag: int, length: int) -> bytes:
    """
    Give what stands before a field's content.

    Args:
        length: of the content, in bytes.
    """
    encoded = bytearray([tag])
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def content_offset(message: bytes, position: int, tag: int) -> int | None:
    """
    Give where a field's content begins, if the field has this tag and ends where the message ends.

    Args:
        position: where the field would begin.
    """
    if position >= len(message) or message[position] != tag:
        return None
    length = shift = 0
    for index in range(position + 1, min(position + 1 + _MOST_VARINT_BYTES, len(message))):
        byte = message[index]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return index + 1 if index + 1 + length == len(message) else None
        shift += 7
    return None


def has_more_fields(message: bytes, most: int) -> bool:
    """
    Return whether a message has more than so many fields at its top level, without parsing what they hold.  Bytes that
    are not a message have none.
    """
    position = count = 0
    while position < len(message):
        wire_type = message[position] & 0x07
        _, position = _varint(message, position)
        if wire_type == 2:
            length, position = _varint(message, position)
            position += length
        elif wire_type == 0:
            _, position = _varint(message, position)
        elif wire_type in _FIXED_BYTES:
            position += _FIXED_BYTES[wire_type]
        else:
            return False
        count += 1
        if count > most:
            return True
    return False


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """
    Return the number that begins at a position, and where it ends.
    """
    number = shift = 0
    for index in range(position, min(position + _MOST_LONG_VARINT_BYTES, len(message))):
        byte = message[index]
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, index + 1
    return number, len(message)
