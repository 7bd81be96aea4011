"""
A connection that can be cut.
"""

import socket
import struct
import threading
from contextlib import suppress

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_BUFFER_BYTES = 256 * 1024


class Cable:
    """
    Carries what clients send to a daemon, and back, until it is cut.

    @ivar address: where clients connect to.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                daemon = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [client, daemon]
                for source, target in ((client, daemon), (daemon, client)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_BUFFER_BYTES):
                target.sendall(data)

    def cut(self) -> None:
        """
        Break all connections, without a farewell, and take no more.
        """
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits for a connection is not told of a close
        self._listener.close()
        for end in self._ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
