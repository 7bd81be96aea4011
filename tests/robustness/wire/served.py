"""
A daemon that a case stops, kills and starts again as it likes.
"""

from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.client import Client
from tests.support.daemon import Daemon, free_port

OWN_CONNECTION: dict[str, Any] = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.min_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 100,
}
"""Options of a channel that shares its connection with none, and soon finds a daemon that is back."""

_SIGNS_OF_A_BUG = ("Traceback", "incident")


class Served:
    """
    An archive, and a daemon that serves it at the same address each time.  A context: in its end it is killed.

    Attributes:
        archive: where the archive is.
        address: where clients connect to.
    """

    def __init__(self, directory: Path, *flags: str) -> None:
        self.archive = directory / "archive"
        self._directory = directory
        port = free_port()
        self._flags = ["--archive-dir", str(self.archive), *flags, "--port", str(port)]
        self.address = f"127.0.0.1:{port}"
        self._daemon: Daemon | None = None
        self._clients: list[Client] = []
        self.problems: list[str] = []

    def __enter__(self) -> "Served":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        self.kill()

    @property
    def daemon(self) -> Daemon:
        """
        The daemon, once started.
        """
        assert self._daemon is not None, "the daemon was not started"
        return self._daemon

    def launch(self) -> "Served":
        """
        Start the daemon, and do not wait.
        """
        self._daemon = Daemon(self._directory, self._flags)
        self._daemon.launch()
        return self

    def start(self) -> "Served":
        """
        Start the daemon, and wait until it serves.
        """
        self._daemon = Daemon(self._directory, self._flags)
        self._daemon.start()
        return self

    def kill(self) -> None:
        """
        Kill the daemon, at whatever it is.
        """
        if self._daemon is not None:
            self._daemon.kill()
            self._note_problems(self._daemon)

    def crash(self) -> None:
        """
        Kill the daemon, and start it again.
        """
        self.kill()
        self.start()

    def restart(self) -> None:
        """
        Stop the daemon cleanly, and start it again.
        """
        status = self.daemon.stop()
        if status != 0:
            self.problems.append(f"the daemon stopped with {status}: {self.daemon.log}")
        self._note_problems(self.daemon)
        self.start()

    def connect(self) -> Client:
        """
        Connect with a separate connection, which lasts until the end or until it is closed.
        """
        client = Client(self.address, **OWN_CONNECTION)
        self._clients.append(client)
        return client

    def _note_problems(self, daemon: Daemon) -> None:
        lines = daemon.log.splitlines()
        reported = [index for index, line in enumerate(lines) if any(sign in line for sign in _SIGNS_OF_A_BUG)]
        if reported:
            self.problems.append("the daemon's log: " + " | ".join(lines[reported[0] : reported[0] + 30]))
