"""
Times as text.
"""

from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.metadata import format_timestamp, parse_timestamp

SEEDS = [
    *(b"2021-10-01T22:10:05.1074546+02:00", b"1970-01-01T00:00:00Z", b"2554-07-21T23:34:33.709551615Z"),
    *(b"2554-07-21T23:34:33.709551616Z", b"0000-01-01T00:00:00Z", b"9999-12-31T23:59:59.999999999-23:59"),
    *(b"2021-02-29t00:00:60z", b"2020-02-29 00:00:00Z", "202\u0661-10-01T00:00:00Z".encode(), b"now"),
]


def test_one_input(data: bytes) -> None:
    """
    Check that a time is either read, and means the same when it is written again, or malformed.
    """
    text = data.decode("utf-8", "replace")
    try:
        created_ns = parse_timestamp(text)
    except Malformed as error:
        assert error.reason
    else:
        assert 0 <= created_ns < 2**64 and parse_timestamp(format_timestamp(created_ns)) == created_ns
        fraction = text.partition(".")[2].rstrip("Zz").partition("+")[0].partition("-")[0]
        assert created_ns % 10**9 == int(fraction.ljust(9, "0") if fraction else "0")
    number = int.from_bytes(data[:8], "big")
    assert parse_timestamp(format_timestamp(number)) == number
