"""
The frames of HTTP/2 (RFC 9113), as far as a client of gRPC needs them.

(gRPC over HTTP/2: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.)
"""

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

HEADER_BYTES = 9
LARGEST_WINDOW = 2**31 - 1
FIRST_WINDOW = 65_535
FRAME_BYTES = 16_384
"""The most that goes with every server, and what most clients send."""

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4


class Kind(IntEnum):
    """
    Kinds of frames.
    """

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Setting(IntEnum):
    """
    A setting that one end of a connection announces to the other.
    """

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5


# None of our windows closes, as none does of a client that reads what comes.  Headers come spelled out, so that a
# status is seen without decompressing anything.
OUR_SETTINGS = {
    Setting.HEADER_TABLE_SIZE: 0,
    Setting.ENABLE_PUSH: 0,
    Setting.INITIAL_WINDOW_SIZE: LARGEST_WINDOW,
    Setting.MAX_FRAME_SIZE: 4 * 1024 * 1024,
}

GOOD_STATUS = b"\x0bgrpc-status\x010"
"""How a status of 0 is spelled out."""


def frame_header(kind: int, flags: int, stream: int, length: int) -> bytes:
    """
    Make the nine bytes before a payload.
    """
    return struct.pack(">BHBBI", length >> 16, length & 0xFFFF, kind, flags, stream)


def parsed_header(header: bytes | bytearray) -> tuple[int, int, int, int]:
    """
    Return the length of the payload, the kind, the flags and the stream.
    """
    high, low, kind, flags, stream = struct.unpack(">BHBBI", header)
    return high << 16 | low, kind, flags, stream & LARGEST_WINDOW


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """
    Make a whole frame.
    """
    return frame_header(kind, flags, stream, len(payload)) + payload


def window_update(stream: int, size_bytes: int) -> bytes:
    """
    Let the other end send more.
    """
    return frame(Kind.WINDOW_UPDATE, 0, stream, struct.pack(">I", size_bytes))


def greeting() -> bytes:
    """
    Make what a connection begins with.
    """
    settings = b"".join(struct.pack(">HI", *setting) for setting in OUR_SETTINGS.items())
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(Kind.SETTINGS, 0, 0, settings)
        + window_update(0, LARGEST_WINDOW - FIRST_WINDOW)
    )


def parsed_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """
    Return the settings in a SETTINGS frame.
    """
    yield from struct.iter_unpack(">HI", payload)


def request_headers(path: str, metadata: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """
    Make the headers of a call, each spelled out and kept in no table (RFC 7541, section 6.2.2).

    Args:
        metadata: further headers.
    """
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    headers = [*((name, value.encode()) for name, value in fields.items()), *metadata]
    return b"".join(b"\x00" + _text(name.encode()) + _text(value) for name, value in headers)


def _text(value: bytes) -> bytes:
    """
    Return a text with its length (RFC 7541, section 5).
    """
    length = len(value)
    if length < 0x7F:
        return bytes([length]) + value
    prefix, rest = [0x7F], length - 0x7F
    while rest >= 0x80:
        prefix.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*prefix, rest]) + value
