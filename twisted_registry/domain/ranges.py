"""
Ranges of a version's data.
"""

from typing import Self

from attrs import frozen

from twisted_registry.domain.errors import OutOfRange


@frozen
class ByteRange:
    """
    A part of a version's data.

    Attributes:
        offset: the position of the first byte.
        length: how many bytes there are.
        is_whole: whether that is all of the data.
    """

    offset: int
    length: int
    is_whole: bool

    @classmethod
    def of(cls, size_bytes: int, offset: int, length: int) -> Self:
        """
        Return the part of a version that a request selects.

        Args:
            size_bytes: the size of the version's data in bytes.
            offset: the position of the first byte.
            length: the most bytes; 0 for all.

        Raises:
            OutOfRange: the data ends before the offset.
        """
        if offset > size_bytes:
            raise OutOfRange(offset, size_bytes)
        available = size_bytes - offset
        selected = min(length, available) if length else available
        return cls(offset, selected, selected == size_bytes)

    @property
    def end(self) -> int:
        """
        The position after the last byte.
        """
        return self.offset + self.length
