"""
The lines of the audit log: JSON, each with its number and the SHA-256 of the line before.

A line that is changed, removed or inserted later no longer fits its neighbors.  The chain has no key, so anyone who can
write to the file can also compute a new chain: keep copies elsewhere if that matters.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from attrs import frozen

FIRST_PREV = "0" * 64
"""The hash in the first line of all."""

_SEQUENCE_MAX = 2**63
"""More lines than any log has.  Python refuses to print a number of thousands of digits."""

_NS = 10**9
encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode
"""
Returns fields as ASCII, sorted.  This is done where an entry is made: the thread of the log would take the
interpreter from calls under way for as long as it encodes a whole batch.
"""


@frozen
class ChainEnd:
    """
    The end of a chain of lines.

    Attributes:
        sequence: the number of its last line; 0 if it has none.
        sha256: the hash of that line, in hexadecimal digits.
    """

    sequence: int = 0
    sha256: str = FIRST_PREV

    def add(self, entry: Mapping[str, Any], time_ns: int) -> "tuple[bytes, ChainEnd]":
        """See ``add_encoded``; takes the fields as they are."""
        return self.add_encoded(encode(entry), time_ns)

    def add_encoded(self, entry: str, time_ns: int) -> "tuple[bytes, ChainEnd]":
        """
        Make the next line.  It is ASCII, so no id can contain a line break.

        Args:
            entry: its other fields, as ``encode`` returns them.
            time_ns: its time in nanoseconds since the Unix epoch.

        Returns:
            the line without its line break, and the new end.
        """
        sequence = self.sequence + 1
        begin = f'{{"prev":"{self.sha256}","seq":{sequence},"time":"{format_time(time_ns)}"'
        line = (begin + ("," if len(entry) > 2 else "") + entry[1:]).encode("ascii")
        return line, ChainEnd(sequence, hashlib.sha256(line).hexdigest())


def hash_of(line: bytes) -> str:
    """
    Return the SHA-256 of a line without its line break, in hexadecimal digits.
    """
    return hashlib.sha256(line).hexdigest()


@lru_cache(maxsize=4)
def _format_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def format_time(time_ns: int) -> str:
    """
    Return nanoseconds since the Unix epoch as an RFC 3339 timestamp in UTC, with nine digits of a second.
    """
    seconds, nanoseconds = divmod(time_ns, _NS)
    return f"{_format_second(seconds)}.{nanoseconds:09d}Z"


def parse_line(line: bytes) -> Mapping[str, Any] | None:
    """
    Return the fields of a line; ``None`` if it is not a line of an audit log, such as one that was cut off.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("prev"), str):
        return None
    sequence = fields.get("seq")
    return fields if type(sequence) is int and 0 < sequence <= _SEQUENCE_MAX else None


@frozen
class Tail:
    """
    The last lines of a file.

    Attributes:
        end: the end of its chain.
        torn: what follows the last complete line: the beginning of one whose writing was interrupted.
        is_closed: whether that ends with a line break.
    """

    end: ChainEnd
    torn: bytes = b""
    is_closed: bool = True


def read_tail(content: bytes) -> Tail | None:
    """
    Find the end of the chain in the last bytes of a file.

    Returns:
        ``None`` if they contain no complete line.
    """
    stop = len(content)
    while (stop := content.rfind(b"\n", 0, stop)) >= 0:
        line = content[content.rfind(b"\n", 0, stop) + 1 : stop]
        fields = parse_line(line)
        if fields is not None:
            torn = content[stop + 1 :]
            return Tail(ChainEnd(fields["seq"], hash_of(line)), torn.removesuffix(b"\n"), content.endswith(b"\n"))
    return None
