"""
The base class of the registry's errors.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

_SHOWN_CHARACTERS = 80

_TRACEBACK = "Traceback (most recent call last):\n"


def shown(text: object) -> str:
    """
    Quote a text that a client sent, and shorten it for an error text.
    """
    quoted = ascii(text)
    if len(quoted) <= _SHOWN_CHARACTERS:
        return quoted
    return f"{quoted[:_SHOWN_CHARACTERS]}... ({len(str(text))} characters)"


class RegistryError(Exception):
    """
    The base class of the errors that this project raises on purpose.

    Data loaders such as PyTorch's raise a worker's error again with a single argument: a text that contains the
    worker's traceback.  The text of such an error is this argument.

    Attributes:
        request_id: the id by which the server's logs name the call that failed; empty for an error without a call.
    """

    request_id: str = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__str__" in vars(cls):
            cls.__str__ = _or_traceback(vars(cls)["__str__"])  # type: ignore[method-assign]


def _or_traceback(text: Callable[[Any], str]) -> Callable[[Any], str]:
    @wraps(text)
    def text_or_traceback(error: RegistryError) -> str:
        first = error.args[0] if error.args and not any(error.args[1:]) else None
        return first if isinstance(first, str) and _TRACEBACK in first else text(error)

    return text_or_traceback
