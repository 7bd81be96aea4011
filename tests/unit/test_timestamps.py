"""
RFC 3339 timestamps to and from nanoseconds.
"""

from hypothesis import given, settings, strategies
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.metadata import format_timestamp, parse_timestamp
from twisted_registry.testing.samples import CREATED_NS


class TimestampTests(SynchronousTestCase):
    """
    Times as text.
    """

    def test_written(self) -> None:
        """
        Times are written in UTC, with nine digits of a second.
        """
        self.assertEqual(format_timestamp(CREATED_NS), "2021-10-01T20:10:05.107454600Z")
        self.assertEqual(format_timestamp(0), "1970-01-01T00:00:00.000000000Z")

    @settings(deadline=None)
    @given(strategies.integers(0, 2**64 - 1))
    def test_round_trip(self, created_ns: int) -> None:
        """
        Every time that fits in 64 bits is read as it was written.
        """
        self.assertEqual(parse_timestamp(format_timestamp(created_ns)), created_ns)

    def test_read(self) -> None:
        """
        Times are read to the nanosecond, with any offset and any number of digits.
        """
        for text, created_ns in {
            "2021-10-01T22:10:05.1074546+02:00": CREATED_NS,
            "2021-10-01T20:10:05.107454600Z": CREATED_NS,
            "2021-10-01T00:40:05.1074546-19:30": CREATED_NS,
            "2021-10-01T20:10:05Z": CREATED_NS // 10**9 * 10**9,
            "2021-10-01T20:10:05.123456789Z": CREATED_NS // 10**9 * 10**9 + 123_456_789,
            "1970-01-01T00:00:00.000000001Z": 1,
            "1970-01-01T01:00:00+01:00": 0,
            "2554-07-21T23:34:33.709551615Z": 2**64 - 1,
        }.items():
            self.assertEqual(parse_timestamp(text), created_ns, text)

    def test_refused(self) -> None:
        """
        A timestamp must be valid, not before the epoch, and fit in 64 bits.
        """
        for text in (
            *("1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00+00:01", "0001-01-01T00:00:00Z"),
            *("2554-07-21T23:34:33.709551616Z", "9999-12-31T23:59:59Z", "2021-10-01T24:00:00Z", "2021-10-01T00:60:00Z"),
            *("2021-10-01T00:00:60Z", "2021-10-01T00:00:00+24:00", "2021-10-01T00:00:00+00:60", "0000-01-01T00:00:00Z"),
            *(
                "2021-10-01T00:00:00.1234567890Z",
                "2021-10-01T00:00:00.Z",
                "2021-10-01T00:00:00Z\n",
                " 2021-10-01T00:00:00Z",
            ),
        ):
            self.assertRaises(Malformed, parse_timestamp, text)
