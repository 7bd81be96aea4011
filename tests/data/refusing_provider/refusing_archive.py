"""
An archive for tests: a folder's, on a disk that takes no writes, or gives nothing, while a test says so.

While there is a file CONTROL, each write fails with the error whose name is in it, such as ``ENOSPC``.  Where it holds
``reading ESTALE``, all that reads fails as well.
"""

import errno
import os
from pathlib import Path

from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.filesystem.system import System


class RefusingSystem(System):
    """
    An operating system that writes nothing for a while.
    """

    def __init__(self, control: Path) -> None:
        self._control = control

    def _check(self, *, is_reading: bool) -> None:
        if self._control.exists():
            *what, name = self._control.read_text().split()
            if what or not is_reading:
                number = getattr(errno, name)
                raise OSError(number, os.strerror(number))

    def write(self, descriptor: int, data: memoryview) -> int:
        self._check(is_reading=False)
        return super().write(descriptor, data)

    def read(self, descriptor: int, size_bytes: int) -> bytes:
        self._check(is_reading=True)
        return super().read(descriptor, size_bytes)

    def listdir(self, path: str) -> list[str]:
        self._check(is_reading=True)
        return super().listdir(path)


def refusing_archive(folder: str, control: str) -> FilesystemArchive:
    """
    Make the archive.
    """
    return FilesystemArchive(folder, RefusingSystem(Path(control)))
