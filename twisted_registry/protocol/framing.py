"""
Data inside messages, written and read without protobuf.

An upload's body is a ``CreateVersionRequestChunk`` that holds a ``Body``; a download's chunk is a
``RetrieveVersionDataReplyChunk``.  The former ends with the very bytes of the latter::

    CreateVersionRequestChunk   12 <length> | 0a <length> <data>
    RetrieveVersionDataReplyChunk             0a <length> <data>

Tags and varints: https://protobuf.dev/programming-guides/encoding/.
"""

BODY_TAG = 0x12
"""The ``body`` of a ``CreateVersionRequestChunk``."""

DATA_TAG = 0x0A
"""The ``data_chunk`` of a ``Body`` and of a ``RetrieveVersionDataReplyChunk``."""

_LENGTH_VARINT_MAX_BYTES = 5  # of a length below 4 GiB
_VARINT_MAX_BYTES = 10
_FIXED_BYTES = {1: 8, 5: 4}


def field_header(tag: int, length: int) -> bytes:
    """
    Return the bytes before a field's content.

    Args:
        length: the length of the content, in bytes.
    """
    encoded = bytearray([tag])
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def content_offset(message: bytes, position: int, tag: int) -> int | None:
    """
    Return the offset of a field's content; ``None`` if the field has another tag, or does not end where the message
    ends.

    Args:
        position: the offset of the field.
    """
    if position >= len(message) or message[position] != tag:
        return None
    length = shift = 0
    for index in range(position + 1, min(position + 1 + _LENGTH_VARINT_MAX_BYTES, len(message))):
        byte = message[index]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return index + 1 if index + 1 + length == len(message) else None
        shift += 7
    return None


def has_more_fields(message: bytes, most: int) -> bool:
    """
    Return whether a message has more than ``most`` fields at its top level, without parsing their content.  Bytes that
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
    Return the number at a position, and the position after it.
    """
    number = shift = 0
    for index in range(position, min(position + _VARINT_MAX_BYTES, len(message))):
        byte = message[index]
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, index + 1
    return number, len(message)
