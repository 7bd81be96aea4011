"""
A real daemon as a child process.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import TypeVar

from attrs import define, field

from tests.support.fork_server import ForkedProcess, ForkServer

T = TypeVar("T")

TWISTD = str(Path(sys.executable).with_name("twistd"))
_LISTENING = re.compile(r"listening on (?P<host>\S+):(?P<port>\d+)")
TIMEOUT_SECONDS = 120
"""Nothing takes so long; a test that waits for it has failed."""


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return this process's environment without settings of the registry and of gRPC.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COGMENT_", "GRPC_"))}
    return {**environment, **(extra or {})}


def run_command(
    directory: Path, *command: str | Path, environment: Mapping[str, str] | None = None, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """
    Run a program to its end.

    Args:
        typed: what it finds on stdin.
    """
    return subprocess.run(
        command,
        input=typed,
        cwd=directory,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def run_twistd(
    directory: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """
    Run twistd to its end.
    """
    return run_command(directory, TWISTD, *arguments, environment=environment)


def wait_until(condition: Callable[[], T], what: str) -> T:
    """
    Wait for something that can be seen, and give it.

    Args:
        condition: gives something that is true once it is so.
        what: what is waited for.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (seen := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it never came to this: {what}")
        time.sleep(0.01)
    return seen


def free_port() -> int:
    """
    Return a port that nothing listens on.

    It is below the ports that the system assigns to clients and to servers without a fixed port, so none of these takes
    it meanwhile.
    """
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def processes_in(directory: Path) -> list[int]:
    """
    Return the processes that run in a directory.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == directory.resolve():
                found.append(int(process.name))
    return found


@define(eq=False)
class Daemon:
    """
    A daemon in the foreground, on a free port.

    Attributes:
        directory: its working directory; by default its archive is there too.
        lines: its output so far.
        is_forked: whether it is forked from a process that has imported its modules, which takes a third of the time.
            Not where the process is the subject: its start, its memory, its stdin.
        prefix: the command that starts it, with its arguments, such as one that changes the user.
        descriptors: the descriptors that it inherits, under their numbers.
    """

    directory: Path
    flags: Sequence[str] = ()
    environment: Mapping[str, str] = field(factory=dict)
    port: int = 0
    lines: list[str] = field(factory=list)
    is_forked: bool = False
    prefix: Sequence[str] = ()
    descriptors: Sequence[int] = ()
    _process: "subprocess.Popen[str] | ForkedProcess | None" = None
    _reader: threading.Thread | None = None
    _printed: "Queue[str | None]" = field(factory=Queue)

    @property
    def address(self) -> str:
        """
        The address for clients.
        """
        return f"127.0.0.1:{self.port}"

    @property
    def process(self) -> "subprocess.Popen[str] | ForkedProcess":
        """
        The child, once started.
        """
        assert self._process is not None, "the daemon was not started"
        return self._process

    def start(self) -> "Daemon":
        """
        Start it, and wait until it says that it listens.
        """
        self.launch()
        match = self.wait_for(_LISTENING.pattern)
        self.port = int(match["port"])
        return self

    def launch(self) -> None:
        """
        Start the daemon without waiting for it.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        arguments = ["--nodaemon", "--pidfile=", "model-registry", "--port", "0", *self.flags]
        environment = clean_environment(self.environment)
        if self.is_forked:
            self._process = ForkServer.shared().start(arguments, self.directory, environment)
        else:
            self._process = subprocess.Popen(
                [*self.prefix, TWISTD, *arguments],
                cwd=self.directory,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=self.descriptors,
                errors="backslashreplace",  # gRPC's own lines may quote whatever bytes came
            )
        self._reader = threading.Thread(target=self._read, args=(self._process, self._printed), daemon=True)
        self._reader.start()

    def _read(self, process: "subprocess.Popen[str] | ForkedProcess", printed: "Queue[str | None]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line)
                printed.put(line)
        printed.put(None)

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """
        Wait for a line that was not waited for before.
        """
        while True:
            try:
                line = self._printed.get(timeout=TIMEOUT_SECONDS)
            except Empty:
                raise AssertionError(f"no line like {pattern!r} came: {self.log}") from None
            if line is None:
                raise AssertionError(f"the daemon ended without a line like {pattern!r}: {self.log}")
            match = re.search(pattern, line)
            if match:
                return match

    @property
    def log(self) -> str:
        """
        All it printed so far.
        """
        return "".join(self.lines)

    def memory_bytes(self, *, peak: bool = False) -> int:
        """
        Return how much memory the process takes.

        Args:
            peak: return the highest amount so far.
        """
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status)
        assert match is not None, status
        return int(match[1]) * 1024

    def ask_to_stop(self, signal_number: int = signal.SIGTERM) -> None:
        """
        Ask it to stop, and wait until it says that it does.
        """
        self.process.send_signal(signal_number)
        self.wait_for("stopping; ")

    def wait(self) -> int:
        """
        Wait for its end and for all it printed, and give its exit status.
        """
        status = self.process.wait(timeout=TIMEOUT_SECONDS)
        assert self._reader is not None
        self._reader.join(TIMEOUT_SECONDS)
        return status

    def stop(self) -> int:
        """
        Ask it to stop, and give its exit status.
        """
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def suspend(self) -> None:
        """
        Suspend the process, and wait until it has stopped running.
        """
        self.process.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self.process.pid}/status")
        wait_until(lambda: "State:\tT" in status.read_text(), "the process is stopped")

    def go_on(self) -> None:
        """
        Resume the process.
        """
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """
        Kill it, if it still runs.
        """
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self.wait()

    def restart(self) -> None:
        """
        Stop it, and start it again on the same archive.
        """
        assert self.stop() == 0, self.log
        self._printed = Queue()
        self.start()
