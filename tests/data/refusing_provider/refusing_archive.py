"""
An archive for tests: a filesystem archive on a disk that refuses writes, or reads, while the test says so.

While a file CONTROL exists, each write fails with the error that it names, such as ``ENOSPC``. If it contains ``reading
ESTALE``, all reads fail as well.
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
