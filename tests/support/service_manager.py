"""
A service manager, as far as a daemon can notice: sockets that it passes, and messages that it receives.
"""

import socket
import sys
from collections.abc import Mapping, Sequence
from uuid import uuid4

from tests.support.daemon import TIMEOUT_SECONDS

_START = """
import os, sys
count = int(sys.argv[1])
passed, command = [int(word) for word in sys.argv[2:2 + count]], sys.argv[2 + count:]
for source in passed:
    os.dup2(source, source + 100)
for target, source in enumerate(passed, 3):
    os.dup2(source + 100, target)
    os.close(source + 100)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count))
os.execvp(command[0], command)
"""
"""Starts a command with sockets as the descriptors from 3 on, and with its own process id in a variable."""


class FakeServiceManager:
    """
    A service manager that listens for messages.
    """

    def __init__(self) -> None:
        self._name = f"registry-test-{uuid4().hex}"
        self.receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.receiver.bind(f"\0{self._name}")
        self.receiver.settimeout(TIMEOUT_SECONDS)

    @property
    def environment(self) -> Mapping[str, str]:
        """
        The variables for the daemon.
        """
        return {"NOTIFY_SOCKET": f"@{self._name}"}

    def receive(self) -> str:
        """
        Wait for a message.
        """
        return self.receiver.recv(4096).decode()

    def close(self) -> None:
        """
        Listen no more.
        """
        self.receiver.close()


def passing(sockets: Sequence[socket.socket]) -> Sequence[str]:
    """
    Return the command that starts another one with sockets.  It must inherit their descriptors.
    """
    return (sys.executable, "-c", _START, str(len(sockets)), *(str(each.fileno()) for each in sockets))
