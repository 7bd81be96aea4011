"""
Tests of a daemon under a service manager.
"""

import socket
from pathlib import Path
from uuid import uuid4

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import TIMEOUT_SECONDS, Daemon


class NoticeTests(SynchronousTestCase):
    """
    A daemon with a service manager that watches it.
    """

    def test_life(self) -> None:
        """
        It reports that it serves, that it still runs, and that it stops.
        """
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        name = f"registry-test-{uuid4().hex}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(f"\0{name}")
            receiver.settimeout(TIMEOUT_SECONDS)
            daemon = Daemon(
                directory, ("--archive-dir", "archive"), {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "300000"}
            )
            self.addCleanup(daemon.kill)
            daemon.start()
            self.assertEqual(receiver.recv(4096), b"READY=1\nSTATUS=Serving.")
            for _ in range(3):
                self.assertEqual(receiver.recv(4096), b"WATCHDOG=1")
            self.assertEqual(daemon.stop(), 0, daemon.log)
            receiver.setblocking(False)
            self.assertIn(b"STOPPING=1\nSTATUS=Waiting for running calls.", messages_in(receiver))


def messages_in(receiver: socket.socket) -> list[bytes]:
    """
    Return the messages that have arrived.
    """
    messages = []
    while True:
        try:
            messages.append(receiver.recv(4096))
        except BlockingIOError:
            return messages
