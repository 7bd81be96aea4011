"""
The handles of pages.
"""

from twisted_registry.application.pagination import PAST_ALL, format_listed, parse_decimal, parse_listed
from twisted_registry.domain.errors import InvalidRequest

SEEDS = [
    *(b"", b"0", b"7", b"007", b"-1", b"+1", b" 1", b"1\n", b"1_000", b"0x1", b"1e3", b"listed:", b"listed:3"),
    *(b"listed:0012", b"listed:-1", "\u0663".encode(), "\u00b2".encode(), b"9" * 30, b"0" * 30 + b"1", b"listed:1\n"),
]
_DIGITS = frozenset("0123456789")
_LISTED = "listed:"
_MOST_TEXT_BYTES = 1024


def _number(text: str) -> int | None:
    # Digit by digit: int() takes signs, blanks, underscores and the digits of any script.
    if not text or not _DIGITS.issuperset(text):
        return None
    number = 0
    for digit in text:
        number = min(number * 10 + ord(digit) - ord("0"), PAST_ALL)
    return number


def _decimal(text: str) -> int | None:
    return _number(text) if text else 0


def _listed(text: str) -> int | None:
    if text in ("", "0"):
        return 0
    return _number(text.removeprefix(_LISTED)) if text.startswith(_LISTED) else None


def test_one_input(data: bytes) -> None:
    """
    A handle is read as it is meant, or refused with a short text.
    """
    text = data.decode("utf-8", "replace")
    for read, expected in ((parse_decimal, _decimal(text)), (parse_listed, _listed(text))):
        try:
            found: int | None = read(text)
        except InvalidRequest as error:
            assert 0 < len(str(error).encode()) <= _MOST_TEXT_BYTES
            found = None
        assert found == expected
    offset = int.from_bytes(data[:7], "big")
    assert parse_listed(format_listed(offset)) == offset == parse_decimal(str(offset))
