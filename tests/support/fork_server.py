"""
A process that has imported the daemon's modules, and forks daemons for tests.

Two thirds of the processor time of a daemon's start are imports.  ``ForkServer`` is the test's side; ``python -m
tests.support.fork_server`` is the process.  It has one thread, no reactor and no gRPC object when it forks, as twistd
when it forks into the background.
"""

import atexit
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, ClassVar

from attrs import define, field

ROOT = Path(__file__).parents[2]
_MAX_REQUEST_BYTES = 1_000_000
_MAX_STATUS_BYTES = 20


@define(eq=False)
class ForkedProcess:
    """
    A child of the fork server, with the interface of ``subprocess.Popen``.

    Attributes:
        pid: its process id.
        stdout: its output, stderr too.
        returncode: its exit status once it is known, or else ``None``.
    """

    pid: int
    stdout: IO[str]
    _status: int
    returncode: int | None = field(default=None, init=False)

    def poll(self) -> int | None:
        """
        Return the exit status if it has ended.
        """
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """
        Wait for its end, and return its exit status; negative if a signal ended it.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        status = self._wait(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("a forked daemon", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """
        Send a signal, unless it has ended.
        """
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """
        Send SIGTERM.
        """
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """
        Send SIGKILL.
        """
        self.send_signal(signal.SIGKILL)

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                if not selector.select(timeout):
                    return None
            # If the fork server is killed, nothing is reported, and its children are on their own.
            self.returncode = int(os.read(self._status, _MAX_STATUS_BYTES) or -signal.SIGKILL)
            os.close(self._status)
        return self.returncode


@define(eq=False)
class ForkServer:
    """
    The test's side of the fork server; one for each process that runs tests, started by its first daemon.
    """

    _shared: ClassVar["ForkServer | None"] = None
    _socket: socket.socket
    _mutex: threading.Lock = field(factory=threading.Lock)

    @classmethod
    def shared(cls) -> "ForkServer":
        """
        Return the server of this process.
        """
        if cls._shared is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            # Killed or not, it ends once this process has closed the socket.
            with theirs:
                process = subprocess.Popen([sys.executable, "-m", __name__], stdin=theirs.fileno(), cwd=ROOT)
            atexit.register(process.wait)
            atexit.register(ours.close)
            cls._shared = cls(ours)
        return cls._shared

    def start(self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str]) -> ForkedProcess:
        """
        Start twistd.

        Args:
            arguments: what follows the program's path.
            environment: its variables; it is too late for those that the interpreter or the C library reads, except
                for ``PYTHONPATH``.
        """
        output, child_output = os.pipe()
        status, child_status = os.pipe()
        request = json.dumps([[*arguments], str(directory), {**environment}]).encode()
        with self._mutex:
            socket.send_fds(self._socket, [request], [child_output, child_status])
            pid = int(self._socket.recv(_MAX_STATUS_BYTES))
        os.close(child_output)
        os.close(child_status)
        stdout = open(output, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  # the daemon's reader closes it
        return ForkedProcess(pid, stdout, status)


class _Forker:
    """
    The process that forks.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._children: dict[int, tuple[int, int]] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def serve(self) -> bool:
        """
        Fork children, and report their ends.

        Returns:
            Whether this is a child, which is to run twistd; otherwise, the tests have ended.
        """
        while True:
            for key, _ in self._selector.select():
                if key.fd in self._children:
                    self._report(key.fd)
                    continue
                request, descriptors, *_ = socket.recv_fds(self._requests, _MAX_REQUEST_BYTES, 2)
                if not request:
                    return False
                if self._fork(json.loads(request), *descriptors):
                    return True

    def _fork(self, request: Any, output: int, status: int) -> bool:
        pid = os.fork()
        if pid == 0:
            os.close(status)
            self._become(request, output)
            return True
        os.close(output)
        descriptor = os.pidfd_open(pid)
        self._children[descriptor] = pid, status
        self._selector.register(descriptor, selectors.EVENT_READ)
        self._requests.send(str(pid).encode())
        return False

    def _become(self, request: Any, output: int) -> None:
        arguments, directory, environment = request
        random.seed()  # all children would draw the same numbers
        self._selector.close()
        for descriptor, (_, status) in self._children.items():
            os.close(descriptor)
            os.close(status)
        self._requests.close()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [str(Path(sys.executable).with_name("twistd")), *arguments]
        extra = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
        sys.path[:1] = [str(Path(sys.executable).parent), *extra]

    def _report(self, descriptor: int) -> None:
        pid, status = self._children.pop(descriptor)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        # The test may have ended without reading it.
        with suppress(BrokenPipeError):
            os.write(status, str(code).encode())
        os.close(status)


def main() -> None:
    """
    Import the modules, serve the requests on stdin, and run twistd in each child.
    """
    from twisted.scripts import twistd

    import twisted_registry.daemon.service
    import twisted_registry.storage.filesystem.archive  # noqa: F401

    assert "twisted.internet.reactor" not in sys.modules, "the children would share its descriptors"
    assert "twisted.plugins" not in sys.modules, "the children would not find other plugins"
    if _Forker(socket.socket(fileno=os.dup(0))).serve():
        sys.exit(twistd.run())


if __name__ == "__main__":
    main()
