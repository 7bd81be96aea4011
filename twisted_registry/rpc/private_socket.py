"""
The Unix socket at which gRPC accepts connections from this process, and from no other.
"""

import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from twisted_registry.domain.errors import CannotStart

_NAME = "grpc"


class PrivateSocket:
    """
    A socket in a directory that only this user can open, whose name is removed once gRPC listens.  From then on, it can
    only be reached through a descriptor of this process.

    It is not an abstract socket, because every user of the machine can connect to these.
    """

    def __init__(self, parent: Path) -> None:
        """
        Make the directory.

        Args:
            parent: the directory in which it is made.

        Raises:
            CannotStart: it cannot be made.
        """
        try:
            self._folder = tempfile.mkdtemp(prefix=".registry-", dir=parent)
            self._descriptor = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise CannotStart(f"--socket: cannot create a directory in {parent}: {error.strerror}") from None
        found = os.fstat(self._descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            # Others can write to the parent, and have replaced it.
            os.close(self._descriptor)
            raise CannotStart(f"--socket: another user has changed {self._folder}; choose another directory")
        self._socket: int | None = None

    @property
    def target(self) -> str:
        """
        The address for gRPC.  It is short, wherever the directory is, and leads to the directory even if another user
        renames that.
        """
        return f"unix:{self._path}"

    @property
    def _path(self) -> str:
        return f"/proc/self/fd/{self._descriptor}/{_NAME}"

    def seal(self) -> None:
        """
        Remove the name: gRPC listens now.
        """
        self._socket = os.open(self._path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._remove()

    def connect(self, end: socket.socket) -> None:
        """
        Connect a socket that does not block.

        Raises:
            OSError: it cannot be connected; ``BlockingIOError`` if too many connections wait to be accepted.
        """
        end.connect(f"/proc/self/fd/{self._socket}")

    def close(self) -> None:
        """
        Remove what is left.
        """
        if self._socket is not None:
            os.close(self._socket)
            self._socket = None
        self._remove()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _remove(self) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):
                os.unlink(_NAME, dir_fd=self._descriptor)
        with suppress(OSError):
            os.rmdir(self._folder)
