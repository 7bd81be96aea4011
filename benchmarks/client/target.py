"""
The server to call, and the way to it: TCP, TLS over it, or a Unix socket.
"""

import select
import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Protocol

from attrs import frozen

_SETTINGS_SECONDS = 10.0
_SENT_BYTES = 64 * 1024
"""At most so much is encrypted at once."""


class Wire(Protocol):
    """
    A connected socket that never blocks.
    """

    def fileno(self) -> int:
        """
        Return its descriptor.
        """

    def send(self, pieces: Sequence[memoryview]) -> int:
        """
        Send what the system takes, and return how many bytes that was.

        Raises:
            BlockingIOError: it takes nothing.
        """

    def receive_into(self, buffer: bytearray) -> int:
        """
        Receive what has come, and return how many bytes that is; 0 at the end.

        Raises:
            BlockingIOError: nothing has come.
        """

    def has_more(self) -> bool:
        """
        Return whether something has come that the system does not report.
        """

    def close(self) -> None:
        """
        Close it.
        """


class _Plain:
    """
    TCP, or a Unix socket.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.fileno = connected.fileno
        self.send = connected.sendmsg
        self.receive_into = connected.recv_into
        self.close = connected.close

    def has_more(self) -> bool:
        """See ``Wire.has_more``."""
        return False


class _Encrypted:
    """
    TLS.
    """

    def __init__(self, connected: ssl.SSLSocket) -> None:
        self._socket = connected
        self.fileno = connected.fileno
        self.close = connected.close

    def send(self, pieces: Sequence[memoryview]) -> int:
        """See ``Wire.send``."""
        try:
            return self._socket.send(_joined(pieces))
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None

    def receive_into(self, buffer: bytearray) -> int:
        """See ``Wire.receive_into``."""
        try:
            return self._socket.recv_into(buffer)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None

    def has_more(self) -> bool:
        """See ``Wire.has_more``."""
        return self._socket.pending() > 0


def _joined(pieces: Iterable[memoryview]) -> bytes:
    taken, size = [], 0
    for piece in pieces:
        taken.append(piece)
        size += len(piece)
        if size >= _SENT_BYTES:
            break
    return b"".join(taken)


@frozen
class Target:
    """
    A server of this machine.

    Attributes:
        port: where it listens.
        tls: the authorities to trust; ``None`` without TLS.
        metadata: the metadata of the calls: of the first call, of the next one, and so on, then again from the first.
        unix_path: the Unix socket to use instead of the port; empty for none.
    """

    port: int
    tls: ssl.SSLContext | None = None
    metadata: Sequence[Iterable[tuple[str, bytes]]] = ((),)
    unix_path: str = ""

    def connect(self) -> Wire:
        """
        Connect.
        """
        if self.unix_path:
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(self.unix_path)
            connected.setblocking(False)
            return _Plain(connected)
        connected = socket.create_connection(("127.0.0.1", self.port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is None:
            connected.setblocking(False)
            return _Plain(connected)
        encrypted = self.tls.wrap_socket(connected, server_hostname="localhost")
        # gRPC gives up a handshake if much data comes right behind its last part, so wait for the server's settings.
        select.select([encrypted], [], [], _SETTINGS_SECONDS)
        encrypted.setblocking(False)
        return _Encrypted(encrypted)


def trusting(authorities: str) -> ssl.SSLContext:
    """
    Return the settings of TLS for a client of gRPC.

    Args:
        authorities: the certificates to trust, in PEM.
    """
    context = ssl.create_default_context(cadata=authorities)
    context.set_alpn_protocols(["h2"])
    return context
