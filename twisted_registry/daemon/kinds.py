"""
What the values of settings may be.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, NoReturn

from attrs import frozen

_MAX_SECONDS = 24 * 60 * 60


@frozen
class Kind:
    """
    What a setting's values are.

    Attributes:
        expected: the same for people, to follow 'expected'.
        parse: makes a value of a text, or raises ``ValueError``.
        switch: whether it is on or off.
    """

    expected: str
    parse: Callable[[str], Any]
    switch: bool = False


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def whole(least: int, most: int, unit: str = "") -> Kind:
    """
    A whole number.

    Args:
        unit: of what, to follow 'a whole number'.
    """

    def parse(text: str) -> int:
        # int() alone takes '1_000', ' 7' and other scripts' digits.
        value = int(text) if re.fullmatch("[0-9]{1,20}", text) else -1
        return value if least <= value <= most else _refuse(text)

    return Kind(f"a whole number{unit} from {least} to {most}", parse)


def seconds(least: float) -> Kind:
    """
    A number of seconds, up to a day.
    """

    def parse(text: str) -> float:
        value = float(text) if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{0,20})?", text) else -1.0
        return value if least <= value <= _MAX_SECONDS else _refuse(text)

    return Kind(f"a number of seconds from {least:g} to {_MAX_SECONDS}", parse)


def one_of(choices: Sequence[str]) -> Kind:
    """
    One of a few words, whatever their case.
    """

    def parse(text: str) -> str:
        return text.lower() if text.lower() in choices else _refuse(text)

    return Kind(f"one of {', '.join(choices)}", parse)


_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def _parse_boolean(text: str) -> bool:
    return text.lower() in _TRUE or (text.lower() not in _FALSE and _refuse(text))


def _parse_text(text: str) -> str:
    return text if text and "\0" not in text else _refuse(text)


_HOST_NAME = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,62})\.)*[A-Za-z]([A-Za-z0-9_-]{0,62})\.?")


def _parse_interface(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if _HOST_NAME.fullmatch(text):
        return text
    return str(ip_address(bare))


SWITCH = Kind(f"one of {', '.join(_TRUE + _FALSE)}", _parse_boolean, switch=True)
DIRECTORY = Kind("a directory", _parse_text)
DESCRIPTION = Kind("a storage description such as 'name:argument:option=value'", _parse_text)
INTERFACE = Kind("an IP address or a host name", _parse_interface)
