"""
Types of the settings' values, as text on a command line or as a value in TOML.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, NoReturn

from attrs import frozen

_MAX_SECONDS = 24 * 60 * 60


@frozen
class ValueType:
    """
    The type of a setting's values.

    Attributes:
        name: the type in one word, for the reference page.
        expected: the valid values, to follow 'expected'.
        parse: makes a value from text, or raises ``ValueError``.
        toml_types: the types that the value may have in TOML.
        toml_expected: the valid values in TOML, if they are others than ``expected``.
    """

    name: str
    expected: str
    parse: Callable[[str], Any]
    toml_types: tuple[type, ...] = (str,)
    toml_expected: str = ""

    @property
    def is_switch(self) -> bool:
        """
        True if the setting is either on or off.
        """
        return bool in self.toml_types

    def parse_toml(self, value: object) -> Any:
        """
        Make a value from a value in TOML.

        Raises:
            ValueError: it is not valid.
        """
        if type(value) not in self.toml_types:
            raise ValueError(value)
        if isinstance(value, bool):
            return value
        return self.parse(f"{value:f}" if isinstance(value, float) else str(value))


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def whole(least: int, most: int, unit: str = "") -> ValueType:
    """
    Return the type of whole numbers in a range.

    Args:
        least: the smallest value.
        most: the largest value.
        unit: the unit, to follow 'a whole number'.
    """

    def parse(text: str) -> int:
        # int() alone accepts '1_000', ' 7' and the digits of other scripts.
        value = int(text) if re.fullmatch("[0-9]{1,20}", text) else -1
        return value if least <= value <= most else _refuse(text)

    return ValueType("number", f"a whole number{unit} from {least} to {most}", parse, (int,))


def seconds(least: float) -> ValueType:
    """
    Return the type of numbers of seconds, up to a day.

    Args:
        least: the smallest value.
    """

    def parse(text: str) -> float:
        value = float(text) if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{0,20})?", text) else -1.0
        return value if least <= value <= _MAX_SECONDS else _refuse(text)

    return ValueType("seconds", f"a number of seconds from {least:g} to {_MAX_SECONDS}", parse, (int, float))


def one_of(choices: Sequence[str]) -> ValueType:
    """
    Return the type of a choice between words, in any case.
    """

    def parse(text: str) -> str:
        return text.lower() if text.lower() in choices else _refuse(text)

    return ValueType("choice", f"one of {', '.join(choices)}", parse)


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


SWITCH = ValueType("switch", f"one of {', '.join(_TRUE + _FALSE)}", _parse_boolean, (bool,), "true or false")
DIRECTORY = ValueType("directory", "a directory", _parse_text)
FILE = ValueType("file", "a file", _parse_text)


_SOCKET_MAX_BYTES = 107
"""The system's limit on the path of a socket."""


def _parse_socket(text: str) -> str:
    path = _parse_text(text.removeprefix("unix:"))
    return path if len(path.encode("utf-8", "surrogateescape")) <= _SOCKET_MAX_BYTES else _refuse(text)


def _parse_mode(text: str) -> str:
    return text.zfill(4) if re.fullmatch("0?[0-7]{3}", text) else _refuse(text)


SOCKET = ValueType("socket", f"a path of at most {_SOCKET_MAX_BYTES} bytes, the limit of the system", _parse_socket)
MODE = ValueType("mode", "a mode in octal digits, such as 0660", _parse_mode)
GROUP = ValueType("group", "the name or the number of a group", _parse_text)
DESCRIPTION = ValueType("description", "a storage description such as 'name:argument:option=value'", _parse_text)
INTERFACE = ValueType("address", "an IP address or a host name", _parse_interface)
