"""
Tests for clients that ping.
"""

import socket
import struct
import time

from tests.functional.test_strangers_words import GOAWAY, PREFACE, SETTINGS, frame
from tests.support.client import DEADLINE_SECONDS
from tests.support.edge import EdgeTestCase

PING = 6
SECONDS_BETWEEN = 5.1
PINGS = 4
"""gRPC forgives two that come too soon."""


class PingTests(EdgeTestCase):
    """
    A client without calls that pings to keep its connection.
    """

    def test_frequent_pings(self) -> None:
        """
        A client that pings every five seconds is answered and not disconnected.
        """
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as client:
            client.settimeout(DEADLINE_SECONDS)
            client.sendall(PREFACE + frame(SETTINGS, b""))
            for number in range(PINGS):
                if number:
                    time.sleep(SECONDS_BETWEEN)
                client.sendall(frame(PING, struct.pack(">Q", number)))
                self.wait_for_answer(client, struct.pack(">Q", number))

    def wait_for_answer(self, client: socket.socket, content: bytes) -> None:
        """
        Read frames until a ping comes back.
        """
        while True:
            head = self.read(client, 9)
            length, kind = int.from_bytes(head[:3], "big"), head[3]
            received = self.read(client, length)
            self.assertNotEqual(kind, GOAWAY, received)
            if kind == PING and received == content:
                return

    def read(self, client: socket.socket, size_bytes: int) -> bytes:
        """
        Read this many bytes.
        """
        received = b""
        while len(received) < size_bytes:
            piece = client.recv(size_bytes - len(received))
            self.assertNotEqual(piece, b"", "the server has disconnected")
            received += piece
        return received
