"""
Tests that nobody writes into the daemon's output what he likes.
"""

import socket
import struct

from tests.support.client import DEADLINE_SECONDS
from tests.support.registry_case import RegistryTestCase

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, GOAWAY = 4, 7
INTERNAL_ERROR = 2


def frame(kind: int, content: bytes) -> bytes:
    """
    Make a frame of HTTP/2 that belongs to no stream (RFC 9113, section 4.1).
    """
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, 0, 0) + content


class StrangersWordsTests(RegistryTestCase):
    """
    A client that closes its connection with a text.
    """

    def test_goodbye(self) -> None:
        """
        A client's closing text is not printed in any form.
        """
        words = frame(GOAWAY, struct.pack(">II", 0, INTERNAL_ERROR) + b"\nFORGED a line of the log")
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as stranger:
            stranger.sendall(PREFACE + frame(SETTINGS, b"") + words)
            stranger.shutdown(socket.SHUT_WR)
            stranger.settimeout(DEADLINE_SECONDS)
            while stranger.recv(65536):
                pass
        self.client.save_model("m")
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.wait_for("stopped")
        self.assertNotIn("FORGED", self.daemon.log)
