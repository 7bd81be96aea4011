"""
A proxy before a registry that answers in its place: with an HTTP status, and a page for people.
"""

import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from socket import SHUT_RDWR, create_server, socket

OK = 0
"""The empty reply of a registry."""

_PREFACE_BYTES = 24
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_EMPTY_MESSAGE = b"\0\0\0\0\0"


def _frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    """
    Make a frame of HTTP/2 (RFC 9113, section 4.1).
    """
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _headers(stream: int, flags: int, **headers: str) -> bytes:
    """
    Make a frame with headers, none of them indexed (RFC 7541, section 6.2.2).  ``_`` in a name stands for ``-``.
    """
    pairs = [(":status" if name == "status" else name.replace("_", "-"), value) for name, value in headers.items()]
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in pairs)
    return _frame(_HEADERS, flags | _END_HEADERS, stream, block)


class HttpProxy:
    """
    An HTTP server that answers like a proxy.

    Attributes:
        calls: the number of calls so far.
    """

    def __init__(self, answers: Sequence[int], of_uploads: int | None = None) -> None:
        """

        Args:
            answers: an HTTP status, or ``OK``, for each call, and the last one from then on.
            of_uploads: the HTTP status for calls that send more than one message: it comes in the middle of the data,
                and what was not received of it is not wanted.
        """
        self.calls = 0
        self._answers = list(answers)
        self._of_uploads = of_uploads
        self._listener = create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """
        Take no more connections.
        """
        with suppress(OSError):
            self._listener.shutdown(SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as received:
            received.read(_PREFACE_BYTES)
            connection.sendall(_frame(_SETTINGS, 0, 0))
            answered = set()
            while head := received.read(9):
                content = received.read(int.from_bytes(head[:3], "big"))
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                if kind in (_SETTINGS, _PING) and not flags & _ACK:
                    connection.sendall(_frame(kind, _ACK, 0, content if kind == _PING else b""))
                if kind == _DATA and content:
                    connection.sendall(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", len(content))))
                if kind == _DATA and stream not in answered:
                    answered.add(stream)
                    connection.sendall(self._answer(stream, bool(flags & _END_STREAM)))

    def _answer(self, stream: int, is_whole: bool) -> bytes:
        self.calls += 1
        if not is_whole and self._of_uploads is not None:
            status = self._of_uploads
        else:
            status = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        if status == OK:
            begin = _headers(stream, 0, status="200", content_type="application/grpc")
            return begin + _frame(_DATA, 0, stream, _EMPTY_MESSAGE) + _headers(stream, _END_STREAM, grpc_status="0")
        page = _headers(stream, 0, status=str(status), content_type="text/html")
        page += _frame(_DATA, _END_STREAM, stream, b"<html>A page for people.</html>")
        return page if is_whole else page + _frame(_RST_STREAM, 0, stream, bytes(4))
