"""
Lines of JSON with a checksum: the form of the small files that are not part of the existing registry's layout.

One flipped bit in a metric or in the number that an alias names would go unnoticed without it.
"""

import json
import zlib
from typing import Any

from twisted_registry.storage.filesystem.failures import Malformed

_CRC32 = b" crc32="
_TAIL_BYTES = len(b"00000000\n")


def format_document(values: object) -> bytes:
    """
    Return a line of ASCII that holds the values.
    """
    body = json.dumps(values, separators=(",", ":")).encode("ascii")
    return b"%s%s%08x\n" % (body, _CRC32, zlib.crc32(body))


def parse_document(line: bytes) -> Any:
    """
    Return the values that a line holds, as JSON has them.

    Raises:
        Malformed: the line is damaged.
    """
    body, _, tail = line.rpartition(_CRC32)
    if len(tail) != _TAIL_BYTES or tail != b"%08x\n" % zlib.crc32(body):
        raise Malformed("its checksum does not match")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("it does not hold JSON") from None
