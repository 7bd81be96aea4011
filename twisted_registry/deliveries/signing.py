"""
Signatures of webhooks, as Standard Webhooks describes them.

See https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence

_PREFIX = "whsec_"
_LEAST_BYTES = 24
_MOST_BYTES = 64
_SECRETS_MAX = 5


def parse_secrets(content: bytes) -> Sequence[bytes]:
    """
    Return the keys in the content of a file of secrets: one in each line, all of which sign.

    Raises:
        ValueError: it is not valid; the text says what is expected, and nothing of the content.
    """
    lines = content.decode("ascii", "replace").split()
    if not 1 <= len(lines) <= _SECRETS_MAX:
        raise ValueError(f"has {len(lines)} secrets; write one to {_SECRETS_MAX}, a line each")
    return [_key(line) for line in lines]


def _key(line: str) -> bytes:
    encoded = line.removeprefix(_PREFIX)
    try:
        key = b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if encoded == line or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(
            f"has a secret of another form; write '{_PREFIX}' and {_LEAST_BYTES} to {_MOST_BYTES} random bytes in "
            "standard base64"
        )
    return key


def signature(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """
    Return the value of the header ``webhook-signature``: a signature with each key.

    Args:
        timestamp: the time of the attempt in seconds since the Unix epoch.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    made = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{b64encode(each).decode()}" for each in made)
