"""
Keys of maps in the paths of field masks, such as ``labels.env``.

The key is all that follows the first dot.  JSON changes capitals and underscores in a mask, and divides it at commas.
In backquotes, a key can be written so that it survives: ``metrics.`my%5freturn``` names ``my_return``.
"""

import re

from twisted_registry.domain.errors import InvalidRequest, shown

_ENCODED = re.compile("(?:%[0-9a-f]{2})+")


def decode_key(text: str) -> str:
    """
    Return the key that a path names after its first dot.

    In backquotes, a percent sign and two digits, in lower case, stand for a byte of UTF-8.

    Raises:
        InvalidRequest: such bytes are not UTF-8.
    """
    if len(text) < 3 or text[0] != "`" or text[-1] != "`":
        return text
    try:
        return _ENCODED.sub(lambda match: bytes.fromhex(match[0].replace("%", "")).decode(), text[1:-1])
    except UnicodeDecodeError:
        raise InvalidRequest(f"the key {shown(text)} of a mask is not UTF-8; write a percent sign as %25") from None


def encode_key(key: str) -> str:
    """
    Return a key as ``decode_key`` reads it, in the form that also survives JSON.
    """
    return f"`{''.join(map(_encoded, key))}`"


def mask_key(key: str) -> str:
    """
    Return a key as a path of a mask that does not pass through JSON names it.
    """
    return encode_key(key) if key.startswith("`") and key.endswith("`") else key  # else it would be decoded


def _encoded(character: str) -> str:
    if character in "_,%" or character.isupper():
        return "".join(f"%{byte:02x}" for byte in character.encode())
    return character
