"""
An archive for tests: a folder's, on a disk that takes no writes while a test says so.

While there is a file CONTROL, each write fails with the error whose name is in it, such as C{ENOSPC}.
"""

import errno
import os
from pathlib import Path

from twisted_registry.storage._system import System
from twisted_registry.storage.filesystem import FilesystemArchive


class RefusingSystem(System):
    """
    An operating system that writes nothing for a while.
    """

    def __init__(self, control: Path) -> None:
        self._control = control

    def write(self, descriptor: int, data: memoryview) -> int:
        if self._control.exists():
            number = getattr(errno, self._control.read_text())
            raise OSError(number, os.strerror(number))
        return super().write(descriptor, data)


def refusing_archive(folder: str, control: str) -> FilesystemArchive:
    """
    Make the archive.
    """
    return FilesystemArchive(folder, RefusingSystem(Path(control)))
