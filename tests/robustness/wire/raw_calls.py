"""
Calls of bare HTTP/2 frames, with metadata that no gRPC library would send.
"""

import re
import socket
from collections.abc import Iterable
from struct import pack

from benchmarks.client import frames
from benchmarks.client.frames import Kind

_STATUS = re.compile(rb"grpc-status.(\d{1,2})", re.DOTALL)
_TIMEOUT_SECONDS = 60.0
_MOST_STREAMS = 1000


class RawConnection:
    """
    A connection for calls one after the other.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._stream = -1
        self._socket.sendall(frames.greeting())

    @property
    def is_worn_out(self) -> bool:
        """
        True if it has served enough calls.
        """
        return self._stream > 2 * _MOST_STREAMS

    def call(self, path: str, metadata: Iterable[tuple[str, bytes]], message: bytes) -> int | None:
        """
        Make a call with one message.

        Returns:
            its status; ``None`` if the server ended the call or the connection without one.
        """
        self._stream += 2
        block = frames.request_headers(path, metadata)
        pieces = [block[start : start + frames.FRAME_BYTES] for start in range(0, len(block), frames.FRAME_BYTES)]
        kinds = [Kind.HEADERS, *[Kind.CONTINUATION] * (len(pieces) - 1)]
        flags = [*[0] * (len(pieces) - 1), frames.END_HEADERS]
        sent = [frames.frame(*each) for each in zip(kinds, flags, [self._stream] * len(pieces), pieces, strict=True)]
        data = b"\0" + pack(">I", len(message)) + message
        try:
            self._socket.sendall(b"".join([*sent, frames.frame(Kind.DATA, frames.END_STREAM, self._stream, data)]))
            return self._status()
        except OSError:
            return None

    def _status(self) -> int | None:
        while header := self._file.read(frames.HEADER_BYTES):
            length, kind, flags, stream = frames.parsed_header(header)
            payload = self._file.read(length)
            if kind == Kind.SETTINGS and not flags & frames.ACK:
                self._socket.sendall(frames.frame(Kind.SETTINGS, frames.ACK, 0, b""))
            elif kind == Kind.PING and not flags & frames.ACK:
                self._socket.sendall(frames.frame(Kind.PING, frames.ACK, 0, payload))
            elif kind == Kind.HEADERS and flags & frames.END_STREAM and stream == self._stream:
                match = _STATUS.search(payload)
                return None if match is None else int(match[1])
            elif kind == Kind.RST_STREAM and stream == self._stream:
                return None
        return None

    def close(self) -> None:
        """
        Close it.
        """
        self._file.close()
        self._socket.close()
