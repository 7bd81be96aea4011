"""
Reading files of the archive, whatever state they are in.
"""

import errno
import os
from stat import S_ISREG

from attrs import define
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchiveReader
from twisted_registry.domain.errors import StorageFailure
from twisted_registry.storage.filesystem.calls import close_quietly
from twisted_registry.storage.filesystem.failures import Malformed, reading
from twisted_registry.storage.filesystem.metadata import MAX_METADATA_BYTES
from twisted_registry.storage.filesystem.pinned_directory import is_link
from twisted_registry.storage.filesystem.system import System

# What has a file's name may be a pipe, which without O_NONBLOCK would be waited for without end, or lead elsewhere.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW

LINK = "it is a link, and links in an archive are not followed"


def open_file(system: System, path: str) -> tuple[int, int]:
    """
    Open a file for reading.

    Returns:
        its descriptor and its size in bytes.

    Raises:
        OSError: it cannot be opened.
        Malformed: it is no file.
    """
    descriptor = _open(system, path)
    try:
        status = system.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            raise Malformed("it is not a file")
    except (OSError, Malformed):
        close_quietly(system, descriptor)
        raise
    return descriptor, status.st_size


def _open(system: System, path: str) -> int:
    try:
        return system.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP and is_link(system, path):
            raise Malformed(LINK) from error
        # So a socket answers, and a device that is not there.
        if error.errno == errno.ENXIO and not S_ISREG(system.lstat(path).st_mode):
            raise Malformed("it is not a file") from error
        raise


def read_metadata(system: System, path: str, most_bytes: int = MAX_METADATA_BYTES) -> bytes:
    """
    Read a file that should be small.

    Args:
        most_bytes: more are not read.

    Raises:
        OSError: it cannot be read.
        Malformed: it is no file, or not small.
    """
    descriptor, size_bytes = open_file(system, path)
    try:
        if size_bytes > most_bytes:
            raise Malformed(f"it has {size_bytes} bytes, more than the {most_bytes} that it can have")
        # One more than there should be, so that a single call usually tells that this was the end.
        return read_up_to(system, descriptor, size_bytes + 1)
    finally:
        close_quietly(system, descriptor)


def read_up_to(system: System, descriptor: int, size_bytes: int) -> bytes:
    """
    Read as many bytes as asked for, fewer only at the end.

    Raises:
        OSError: the medium failed.
    """
    first = system.read(descriptor, size_bytes)
    if not first or len(first) == size_bytes:
        return first
    pieces, missing = [first], size_bytes - len(first)
    while missing and (piece := system.read(descriptor, missing)):
        pieces.append(piece)
        missing -= len(piece)
    return first if len(pieces) == 1 else b"".join(pieces)


@implementer(IArchiveReader)
@define(eq=False)
class FileReader:
    """
    Reads a version's data from its file, which stays as long as it is open, whatever happens to its name.
    """

    _system: System
    _descriptor: int | None
    _subject: str = ""

    def read(self, size_bytes: int) -> bytes:
        """See ``IArchiveReader.read``."""
        if self._descriptor is None:
            raise StorageFailure("the version is closed already")
        with reading(self._subject):
            return read_up_to(self._system, self._descriptor, size_bytes)

    def close(self) -> None:
        """See ``IArchiveReader.close``."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_quietly(self._system, descriptor)
