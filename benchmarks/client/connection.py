"""
Calls over a connection of bare frames: cheaper than any gRPC library, so that it is the server that is measured.

What is sent is made before the clock runs; what is received is counted and thrown away.
"""

import selectors
from collections import deque
from collections.abc import Callable, Iterable
from itertools import cycle, islice

from attrs import define

from benchmarks.client import frames
from benchmarks.client.frames import Kind, Setting
from benchmarks.client.target import Target

_RECEIVED_AT_ONCE = 1024 * 1024
_SENT_AT_ONCE = 64
"""Pieces handed to the system in one call."""

_REPLENISHED_BYTES = 2**30


def cut(messages: Iterable[bytes]) -> list[memoryview]:
    """
    Cut what a call sends into pieces that fit a frame: once, before the clock runs.

    Args:
        messages: with their prefixes.
    """
    pieces: list[memoryview] = []
    for message in messages:
        view = memoryview(message)
        pieces += [view[start : start + frames.FRAME_BYTES] for start in range(0, len(view), frames.FRAME_BYTES)]
    return pieces


class CallFailed(Exception):
    """
    A call did not end well, so that nothing measured counts.
    """


@define(eq=False)
class Call:
    """
    A call under way.

    Attributes:
        unsent: what is still to be sent.
        window: how much of it may be.
        received_bytes: of the messages that came, each with its prefix of five bytes.
    """

    stream: int
    unsent: "deque[memoryview]"
    window: int
    on_end: Callable[["Call"], None]
    on_data: Callable[["Call"], None] | None
    received_bytes: int = 0
    replenished_bytes: int = 0


class Loop:
    """
    The loop that waits for all connections at once.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.buffer = bytearray(_RECEIVED_AT_ONCE)

    def add(self, connection: "Connection") -> None:
        """
        Wait for a connection too.
        """
        self._selector.register(connection.wire, selectors.EVENT_READ, connection)

    def remove(self, connection: "Connection") -> None:
        """
        Wait for a connection no longer.
        """
        self._selector.unregister(connection.wire)

    def want_to_send(self, connection: "Connection", wanted: bool) -> None:
        """
        Wait until there is room to send, or no longer.
        """
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
        self._selector.modify(connection.wire, events, connection)

    def run_until(self, done: Callable[[], bool], timeout_seconds: float = 300) -> None:
        """
        Serve the connections until something is so.

        Raises:
            CallFailed: nothing happened for too long.
        """
        while not done():
            ready = self._selector.select(timeout_seconds)
            if not ready:
                raise CallFailed(f"nothing came for {timeout_seconds} s")
            for key, events in ready:
                if events & selectors.EVENT_READ:
                    key.data.receive()
                if events & selectors.EVENT_WRITE:
                    key.data.send()


class Connection:
    """
    A connection to a server of gRPC, for calls one after the other or side by side.
    """

    def __init__(self, loop: Loop, target: Target | int) -> None:
        """

        Args:
            target: the server, or its port.
        """
        target = Target(target) if isinstance(target, int) else target
        self.wire = target.connect()
        self._metadata = cycle(target.metadata)
        self._loop = loop
        self._calls: dict[int, Call] = {}
        self._next_stream = 1
        self._out: deque[memoryview] = deque()
        self._waits_to_send = False
        # Of a frame whose beginning has come: all of it but for data, of which only the length counts.
        self._gathered = bytearray()
        self._wanted_bytes = frames.HEADER_BYTES
        self._data_left = 0
        self._data_of = 0
        # What the server lets us send.
        self._window = frames.FIRST_WINDOW
        self._first_window = frames.FIRST_WINDOW
        self._received_bytes = 0
        loop.add(self)
        self._put(frames.greeting())

    def call(
        self,
        path: str,
        body: Iterable[memoryview],
        on_end: Callable[[Call], None],
        on_data: Callable[[Call], None] | None = None,
    ) -> Call:
        """
        Begin a call.

        Args:
            path: its full name, as ``/package.Service/Method``.
            body: what ``cut`` gave.
            on_end: called when it ended well.
            on_data: called whenever a frame of data has come: a small message is one.
        """
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        call = Call(stream, deque(body), self._first_window, on_end, on_data)
        self._calls[stream] = call
        self._out.append(
            memoryview(
                frames.frame(
                    Kind.HEADERS, frames.END_HEADERS, stream, frames.request_headers(path, next(self._metadata))
                )
            )
        )
        self._fill(call)
        self.send()
        return call

    # Sending

    def _put(self, data: bytes) -> None:
        self._out.append(memoryview(data))
        self.send()

    def _fill(self, call: Call) -> None:
        # The system is given the first of it before the rest is looked at: the server is not to wait for us.
        while call.unsent and min(call.window, self._window) >= len(call.unsent[0]):
            piece = call.unsent.popleft()
            call.window -= len(piece)
            self._window -= len(piece)
            flags = 0 if call.unsent else frames.END_STREAM
            self._out.append(memoryview(frames.frame_header(Kind.DATA, flags, call.stream, len(piece))))
            self._out.append(piece)
            if len(self._out) >= _SENT_AT_ONCE:
                self.send()

    def send(self) -> None:
        """
        Send what the system takes.
        """
        while self._out:
            try:
                sent = self.wire.send(list(islice(self._out, _SENT_AT_ONCE)))
            except BlockingIOError:
                break
            while sent:
                first = self._out.popleft()
                if len(first) > sent:
                    self._out.appendleft(first[sent:])
                sent -= min(sent, len(first))
        if bool(self._out) != self._waits_to_send:
            self._waits_to_send = bool(self._out)
            self._loop.want_to_send(self, self._waits_to_send)

    # Receiving

    def receive(self) -> None:
        """
        Take what has come.
        """
        self._receive_once()
        while self.wire.has_more():
            self._receive_once()

    def _receive_once(self) -> None:
        try:
            size_bytes = self.wire.receive_into(self._loop.buffer)
        except BlockingIOError:
            return  # what came is part of a record of TLS
        if not size_bytes:
            raise CallFailed("the server has disconnected")
        self._take(memoryview(self._loop.buffer)[:size_bytes])
        self._replenish(size_bytes)

    def _take(self, data: memoryview) -> None:
        position, end = 0, len(data)
        while position < end:
            if self._data_left:
                taken = min(self._data_left, end - position)
                position += taken
                self._data_left -= taken
                self._take_data(taken)
                continue
            piece = data[position : position + self._wanted_bytes - len(self._gathered)]
            self._gathered += piece
            position += len(piece)
            if len(self._gathered) == self._wanted_bytes:
                self._take_gathered()

    def _take_gathered(self) -> None:
        length, kind, flags, stream = frames.parsed_header(self._gathered[: frames.HEADER_BYTES])
        if kind == Kind.DATA:
            self._data_left, self._data_of = length, stream
        elif len(self._gathered) < frames.HEADER_BYTES + length:
            self._wanted_bytes = frames.HEADER_BYTES + length
            return
        else:
            self._handle(kind, flags, stream, bytes(self._gathered[frames.HEADER_BYTES :]))
        self._gathered.clear()
        self._wanted_bytes = frames.HEADER_BYTES

    def _take_data(self, size_bytes: int) -> None:
        call = self._calls.get(self._data_of)
        if call is None:
            raise CallFailed("data came for no call")
        call.received_bytes += size_bytes
        if call.on_data is not None and not self._data_left:
            call.on_data(call)

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == Kind.HEADERS and flags & frames.END_STREAM:
            self._end(stream, payload)
        elif kind == Kind.SETTINGS and not flags & frames.ACK:
            self._heed(payload)
        elif kind == Kind.PING and not flags & frames.ACK:
            self._put(frames.frame(Kind.PING, frames.ACK, 0, payload))
        elif kind == Kind.WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload, "big"))
        elif kind == Kind.GOAWAY or (kind == Kind.RST_STREAM and stream in self._calls):
            raise CallFailed(f"the server ended it: {payload!r}")

    def _end(self, stream: int, trailers: bytes) -> None:
        call = self._calls.pop(stream)
        if frames.GOOD_STATUS not in trailers:
            raise CallFailed(f"the server refused: {trailers!r}")
        call.on_end(call)

    def _heed(self, payload: bytes) -> None:
        for setting, value in frames.parsed_settings(payload):
            if setting == Setting.INITIAL_WINDOW_SIZE:
                for call in self._calls.values():
                    call.window += value - self._first_window
                self._first_window = value
        self._put(frames.frame(Kind.SETTINGS, frames.ACK, 0, b""))
        self._go_on()

    def _widen(self, stream: int, size_bytes: int) -> None:
        if stream == 0:
            self._window += size_bytes
        elif stream in self._calls:
            self._calls[stream].window += size_bytes
        self._go_on()

    def _go_on(self) -> None:
        for call in self._calls.values():
            self._fill(call)
        self.send()

    def _replenish(self, size_bytes: int) -> None:
        self._received_bytes += size_bytes
        if self._received_bytes >= _REPLENISHED_BYTES:
            self._put(frames.window_update(0, self._received_bytes))
            self._received_bytes = 0
        call = self._calls.get(self._data_of)
        if call is not None and call.received_bytes - call.replenished_bytes >= _REPLENISHED_BYTES:
            self._put(frames.window_update(call.stream, call.received_bytes - call.replenished_bytes))
            call.replenished_bytes = call.received_bytes

    def close(self) -> None:
        """
        Close the connection.
        """
        self._loop.remove(self)
        self.wire.close()
