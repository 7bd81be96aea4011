"""
Files of access control as they are read, and the error of one that cannot be used.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from twisted_registry.domain.error_base import RegistryError


class BadFile(RegistryError):
    """
    A file cannot be used.

    Attributes:
        problems: what is wrong, and what to do, a line each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems: Sequence[str] = problems


@frozen
class FileKind:
    """
    A kind of file.

    Attributes:
        name: the name in log lines and errors, such as 'policy'.
        most_bytes: the largest size.
        is_private: whether only its owner may have access to it.
    """

    name: str
    most_bytes: int
    is_private: bool = False

    def read(self, path: Path) -> bytes:
        """
        Return the content of a file.  This blocks.

        Raises:
            BadFile: it cannot be read, is too large, or is open to others.
        """
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise self.bad(path, "is not a regular file")
                mode = stat.S_IMODE(found.st_mode)
                if self.is_private and mode & 0o077:
                    raise self.bad(path, f"is open to other users (mode {mode:04o}); run 'chmod 600' on it")
                content = file.read(self.most_bytes + 1)
        except OSError as error:
            raise self.bad(path, f"cannot be read: {error.strerror}") from None
        if len(content) > self.most_bytes:
            raise self.bad(path, f"is larger than {self.most_bytes} bytes")
        return content

    def bad(self, path: Path, problem: str) -> BadFile:
        """
        Return the error of a file.
        """
        return BadFile(f"the {self.name} {path} {problem}")
