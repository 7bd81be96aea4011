"""
Open pages: streams of events by HTTP, which are read as they come.
"""

import select
import socket
import time

_REQUEST = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
_EVENT = b'"versionCreated"'
_TIMEOUT_SECONDS = 60.0


class EventStreams:
    """
    Streams of events.

    Attributes:
        versions: how many versions the streams have seen created, together.
    """

    def __init__(self, port: int, count: int) -> None:
        """

        Args:
            port: the port for HTTP.
            count: how many streams there are.
        """
        self.versions = 0
        self._poll = select.epoll()
        self._sockets = {each.fileno(): each for each in (_open(port) for _ in range(count))}
        for descriptor in self._sockets:
            self._poll.register(descriptor, select.EPOLLIN)

    def read(self, seconds: float) -> None:
        """
        Read what comes.
        """
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(left):
                self.versions += self._sockets[descriptor].recv(2**16).count(_EVENT)

    def close(self) -> None:
        """
        End the streams.
        """
        self._poll.close()
        for each in self._sockets.values():
            each.close()


def _open(port: int) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS)
    stream.sendall(_REQUEST)
    if b"started" not in stream.recv(2**16):  # the headers come together with the first event
        raise RuntimeError("a stream of events does not begin")
    return stream
