"""
A relay between clients and a daemon, which can delay, drop and cut connections.
"""

import socket
import struct
import threading
from contextlib import suppress

from attrs import define

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_BUFFER_BYTES = 64 * 1024


@define(eq=False)
class _Rules:
    """
    The limits on connections, from one cut to the next.

    Attributes:
        is_mute: whether the daemon's answers are held back.
        upstream_bytes: how many more bytes of clients are carried, if that is limited.
        downstream_bytes: how many more bytes of the daemon are carried, if that is limited.
    """

    is_mute: bool = False
    upstream_bytes: int | None = None
    downstream_bytes: int | None = None


class Relay:
    """
    A relay of what clients send to a daemon, and back.  Its address stays the same wherever the daemon is.

    Attributes:
        address: where clients connect to.
        port: where the daemon is now; 0 for nowhere.
        carried_bytes: what clients have sent so far.
        answered_bytes: what the daemon has sent so far.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.carried_bytes = 0
        self.answered_bytes = 0
        self._rules = _Rules()
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def mute(self) -> None:
        """
        Hold back the daemon's replies until the next cut.
        """
        self._rules.is_mute = True

    def swallow_after(self, size_bytes: int) -> None:
        """
        Forward this many more bytes from clients, and none after that, until the next cut.
        """
        with self._lock:
            self._rules.upstream_bytes = size_bytes

    def starve_after(self, size_bytes: int) -> None:
        """
        Forward this many more bytes from the daemon, and none after that, until the next cut.
        """
        with self._lock:
            self._rules.downstream_bytes = size_bytes

    def carry_new(self) -> None:
        """
        Carry new connections as ever.  Those that are open stay as they are.
        """
        with self._lock:
            self._rules = _Rules()

    def cut(self) -> None:
        """
        Break all connections, without a farewell.  New ones are carried as ever.
        """
        with self._lock:
            ends, self._ends = self._ends, []
            self._rules = _Rules()
        for end in ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """
        Stop carrying data.
        """
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    daemon = socket.create_connection(("127.0.0.1", self.port))
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._ends += [client, daemon]
                    rules = self._rules
                threading.Thread(target=self._carry_up, args=(client, daemon, rules), daemon=True).start()
                threading.Thread(target=self._carry_down, args=(daemon, client, rules), daemon=True).start()

    def _carry_up(self, client: socket.socket, daemon: socket.socket, rules: _Rules) -> None:
        with suppress(OSError):
            while data := client.recv(_BUFFER_BYTES):
                daemon.sendall(self._let_through(data, rules))
        self._end(daemon)

    def _let_through(self, data: bytes, rules: _Rules) -> bytes:
        with self._lock:
            if rules.upstream_bytes is not None:
                data = data[: rules.upstream_bytes]
                rules.upstream_bytes -= len(data)
            self.carried_bytes += len(data)
        return data

    def _carry_down(self, daemon: socket.socket, client: socket.socket, rules: _Rules) -> None:
        with suppress(OSError):
            while data := daemon.recv(_BUFFER_BYTES):
                with self._lock:
                    if rules.downstream_bytes is not None:
                        data = data[: rules.downstream_bytes]
                        rules.downstream_bytes -= len(data)
                    self.answered_bytes += len(data)
                if not rules.is_mute:
                    client.sendall(data)
        self._end(client)

    @staticmethod
    def _end(end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
