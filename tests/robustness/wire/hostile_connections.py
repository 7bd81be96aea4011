"""
Connections of those who do not speak HTTP/2, or stop in the middle of it.
"""

import random
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress

from attrs import define, field

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_AT_A_TIME = 12
_MOST_OPEN = 300


def _frame(chance: random.Random) -> bytes:
    # A frame of any kind, whose length is true as often as not.
    payload = chance.randbytes(chance.choice((0, 4, 5, 8, 9, 60)))
    length = len(payload) if chance.random() < 0.7 else chance.randrange(2**24)
    kind, flags = chance.randrange(12), chance.randrange(256)
    return (
        length.to_bytes(3, "big") + bytes((kind, flags)) + struct.pack(">I", chance.choice((0, 1, 3, 2**31))) + payload
    )


_WORDS: Sequence[Callable[[random.Random], bytes]] = (
    lambda chance: b"",
    lambda chance: chance.randbytes(chance.randrange(1, 2000)),
    lambda chance: _PREFACE + chance.randbytes(chance.randrange(1, 2000)),
    lambda chance: _PREFACE + _SETTINGS + b"".join(_frame(chance) for _ in range(chance.randrange(1, 30))),
    lambda chance: _PREFACE[: chance.randrange(len(_PREFACE))],
    lambda chance: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    lambda chance: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(200),  # so TLS begins
)
"""The bytes that a visitor sends."""


@define
class Visitors:
    """
    Visitors that open connections, send odd bytes, and leave many connections open.

    Attributes:
        came: the number of connections so far.
    """

    _port: int
    _chance: random.Random
    came: int = 0
    _open: list[socket.socket] = field(factory=list)

    def come(self) -> None:
        """
        Let a few come.
        """
        for _ in range(_AT_A_TIME):
            visitor = socket.create_connection(("127.0.0.1", self._port), timeout=10)
            self._open.append(visitor)
            self.came += 1
            with suppress(OSError):  # it may have been shown the door already
                visitor.sendall(self._chance.choice(_WORDS)(self._chance))

    def some_leave(self) -> None:
        """
        Let those leave who are too many, some without a farewell.
        """
        self._chance.shuffle(self._open)
        while len(self._open) > _MOST_OPEN:
            self._leave(self._open.pop())

    def leave(self) -> None:
        """
        Let all leave.
        """
        while self._open:
            self._leave(self._open.pop())

    def _leave(self, visitor: socket.socket) -> None:
        with suppress(OSError):
            if self._chance.random() < 0.5:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        visitor.close()
