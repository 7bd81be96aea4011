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


def _closed_bits(owner: int) -> int:
    # Kubernetes lets a daemon that is not root read a file of root as a member of its group.
    return 0o037 if owner == 0 != os.geteuid() else 0o077


@frozen
class FileKind:
    """
    A kind of file.

    Attributes:
        name: the name in log lines and errors, such as 'policy'.
        most_bytes: the largest size.
        is_private: whether only its owner may read it.
        is_trusted: whether only its owner may change it.
    """

    name: str
    most_bytes: int
    is_private: bool = False
    is_trusted: bool = False

    def read(self, path: Path, *, checks_owner: bool = False) -> bytes:
        """
        Return the content of a file.  This blocks.

        Args:
            checks_owner: whether to refuse a file that nobody but its owner may read or change, if that is another user
                than root and the one who runs this process.

        Raises:
            BadFile: it cannot be read, is too large, or is open to others.
        """
        try:
            # Not to wait for the other end of a pipe.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                found = os.fstat(file.fileno())
                self._check(path, found)
                if checks_owner and (self.is_private or self.is_trusted):
                    self._check_owner(path, found.st_uid)
                content = file.read(self.most_bytes + 1)
        except OSError as error:
            raise self.bad(path, f"cannot be read: {error.strerror}") from None
        if len(content) > self.most_bytes:
            raise self.bad(path, f"is larger than {self.most_bytes} bytes")
        return content

    def _check(self, path: Path, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self.bad(path, "is not a regular file")
        mode = stat.S_IMODE(found.st_mode)
        if self.is_private and mode & _closed_bits(found.st_uid):
            raise self.bad(path, f"is open to other users (mode {mode:04o}); run 'chmod 600' on it")
        if self.is_trusted and mode & 0o022:
            raise self.bad(path, f"can be changed by other users (mode {mode:04o}); run 'chmod go-w' on it")

    def _check_owner(self, path: Path, owner: int) -> None:
        if owner not in (0, os.geteuid()):
            raise self.bad(
                path,
                f"belongs to another user (number {owner}), who can change it; run 'chown' on it, to root or to the "
                f"daemon's user (number {os.geteuid()})",
            )

    def bad(self, path: Path, problem: str) -> BadFile:
        """
        Return the error of a file.
        """
        return BadFile(f"the {self.name} {path} {problem}")
