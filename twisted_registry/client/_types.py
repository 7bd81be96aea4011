"""
Types of the client's parameters and results.
"""

import os
from collections.abc import AsyncIterable, Callable, Iterable
from typing import IO, TYPE_CHECKING

from attrs import field, frozen

from twisted_registry.domain.models import VersionInfo

Buffer = bytes | bytearray | memoryview

if TYPE_CHECKING:
    import typing_extensions

    AnyBuffer = typing_extensions.Buffer  # collections.abc has it from Python 3.12 on
else:
    AnyBuffer = Buffer

Data = AnyBuffer | os.PathLike[str] | IO[bytes] | Iterable[AnyBuffer] | AsyncIterable[AnyBuffer]
"""
Data that can be published: an object that holds bytes in memory, such as ``bytes`` or a NumPy array; the path of a
file, as a ``Path``; a file opened for reading bytes, from its current position on; or an iterable of pieces of any
size.
"""

Progress = Callable[[int], None]
"""A function that is called with the number of bytes transferred since its last call."""


def no_progress(size_bytes: int) -> None:
    """
    Ignore progress.
    """


@frozen
class Version:
    """
    A version with its data.

    Attributes:
        info: the version's info.
        data: the version's bytes.
    """

    info: VersionInfo
    data: bytes = field(repr=False)
