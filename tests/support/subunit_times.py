"""
Put times into a stream of subunit, version 1, for trial writes none: a line before each that begins or ends a test.

Its ``time:`` lines are described in https://github.com/testing-cabal/subunit.
"""

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

_EVENTS = (b"test: ", b"success: ", b"failure: ", b"error: ", b"skip: ", b"xfail: ", b"uxsuccess: ", b"successful: ")


def with_times(lines: Iterable[bytes]) -> Iterator[bytes]:
    """
    Yield the lines of a stream, each event with its time.
    """
    for line in lines:
        if line.startswith(_EVENTS):
            yield f"time: {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%fZ}\n".encode()
        yield line


if __name__ == "__main__":
    for stamped in with_times(iter(sys.stdin.buffer.readline, b"")):
        sys.stdout.buffer.write(stamped)
