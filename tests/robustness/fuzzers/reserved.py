"""
The file that remembers numbers.
"""

from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.high_water_marks import format_high_water_mark, parse_high_water_mark

SEEDS = [
    *(b"100\n", b"100", b"", b"-1\n", b"2147483647\n", b"2147483648\n", b"9999999999\n", b"1_0\n", b"100 crc32=\n"),
    *(b"100 crc32=237750ea\n", b"100 crc32=237750eb\n", b"100 crc32=237750EA\n", b"00100\n", "\u0661\n".encode()),
]


def _read(content: bytes) -> int | None:
    try:
        return parse_high_water_mark(content)
    except Malformed as error:
        assert error.reason
        return None


def test_one_input(data: bytes) -> None:
    """
    A number is read or malformed; one that was written is read back, and with one bit changed or cut short it is
    malformed.
    """
    found = _read(data)
    assert found is None or (0 <= found <= MAX_VERSION_NUMBER and int(data.split()[0]) == found)
    number = int.from_bytes(data[:4], "big") & MAX_VERSION_NUMBER
    written = format_high_water_mark(number)
    assert _read(written) == number
    place = data[4] % len(written) if len(data) > 4 else 0
    changed = bytearray(written)
    changed[place] ^= 1 << (data[5] % 8 if len(data) > 5 else 0)
    assert _read(bytes(changed)) is None
    assert _read(written[:place]) is None
