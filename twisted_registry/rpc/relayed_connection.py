"""
One relayed connection: what a client sends goes to gRPC, and back.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

_BUFFER_BYTES = 256 * 1024
"""
How much is read at a time, and so how much is kept of what a client does not read.  A second read at once would find
little: to leave the system time to collect data takes a third less of the processor.
"""

_SEND_BUFFER_BYTES = 512 * 1024
"""The system's limit may be lower.  By default, gRPC waits for the relay twice as often."""

_buffer = memoryview(bytearray(_BUFFER_BYTES))
"""Shared by all connections of a thread: what cannot be sent at once is copied."""


class _Flow:
    """
    The data in one direction.  It reads no more than the other end takes.

    Attributes:
        received_bytes: how much was read.
        is_over: whether the source has ended, and the rest has been sent.
    """

    __slots__ = ("_end", "_loop", "_rest", "_sink", "_source", "is_over", "received_bytes")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, source: socket.socket, sink: socket.socket, end: Callable[[bool], None]
    ) -> None:
        """

        Args:
            end: called when the flow is over, with whether the connection is lost.
        """
        self._loop = loop
        self._source = source
        self._sink = sink
        self._end = end
        self._rest = memoryview(b"")
        self.received_bytes = 0
        self.is_over = False

    def start(self) -> None:
        self._loop.add_reader(self._source.fileno(), self._read)

    def stop(self) -> None:
        self._loop.remove_reader(self._source.fileno())
        self._loop.remove_writer(self._sink.fileno())

    def _read(self) -> None:
        try:
            size = self._source.recv_into(_buffer)
        except BlockingIOError:
            return
        except OSError:
            self._end(True)
            return
        if size:
            self.received_bytes += size
            self._send(_buffer[:size])
        else:
            self._finish()

    def _send(self, data: memoryview) -> None:
        try:
            sent = self._sink.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(True)
            return
        if sent == len(data):
            return
        self._rest = memoryview(bytes(data[sent:]))
        self._loop.remove_reader(self._source.fileno())
        self._loop.add_writer(self._sink.fileno(), self._write)

    def _write(self) -> None:
        try:
            sent = self._sink.send(self._rest)
        except BlockingIOError:
            return
        except OSError:
            self._end(True)
            return
        self._rest = self._rest[sent:]
        if not self._rest:
            self._rest = memoryview(b"")
            self._loop.remove_writer(self._sink.fileno())
            self.start()

    def _finish(self) -> None:
        self._loop.remove_reader(self._source.fileno())
        self.is_over = True
        with suppress(OSError):  # the other side may have gone
            self._sink.shutdown(socket.SHUT_WR)
        self._end(False)


class RelayedConnection:
    """
    A client's connection, and the one to gRPC for it.  All but ``shut_down`` is called in the event loop's thread.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        client: socket.socket,
        server: socket.socket,
        closed: Callable[[], None],
    ) -> None:
        """

        Args:
            client: the connection with the client, which does not block; it is closed at the end, like ``server``.
            server: the connection with gRPC, which does not block.
            closed: called once both are closed.
        """
        self._sockets = (client, server)
        self._closed = closed
        for each in self._sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._upward = _Flow(loop, client, server, self._end)
        self._downward = _Flow(loop, server, client, self._end)

    @property
    def received_bytes(self) -> int:
        """
        The number of bytes that the client has sent.
        """
        return self._upward.received_bytes

    def start(self) -> None:
        """
        Begin to relay.
        """
        self._upward.start()
        self._downward.start()

    def shut_down(self) -> None:
        """
        End the connection.  May be called in any thread.
        """
        for each in self._sockets:
            with suppress(OSError):  # it has just ended by itself
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """
        Close both ends, and drop what was not relayed.
        """
        if self._sockets[0].fileno() < 0:
            return
        for flow in (self._upward, self._downward):
            flow.stop()
        for each in self._sockets:
            each.close()
        self._closed()

    def _end(self, is_lost: bool) -> None:
        if is_lost or (self._upward.is_over and self._downward.is_over):
            self.close()
