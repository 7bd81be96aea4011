"""
The servers to measure, each in a separate process.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

_LISTENING = re.compile(r"listening on \S+:(\d+)")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_TIMEOUT_SECONDS = 60.0


@frozen
class Checkout:
    """
    A working tree of this project, with a virtual environment in which it is installed.

    Attributes:
        binaries: the environment's folder of commands.
    """

    root: Path
    binaries: Path

    def commit(self) -> str:
        """
        Return the abbreviated id of the commit that is checked out, or an empty string outside git.
        """
        command = ["git", "-C", str(self.root), "rev-parse", "--short", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


HERE = Checkout(Path(__file__).parents[1], Path(sys.executable).parent)


@frozen
class Server:
    """
    A server that runs.

    Attributes:
        name: as the table calls it.
        port: where it listens, on this machine.
        ready_seconds: from its start until it said so.
    """

    name: str
    port: int
    pid: int
    ready_seconds: float

    def cpu_seconds(self) -> float:
        """
        Return how much processor time the process has taken, in seconds.
        """
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND

    def forget_peak(self) -> None:
        """
        Count its peak of memory from now on (``clear_refs``: https://docs.kernel.org/filesystems/proc.html).
        """
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def memory_bytes(self, *, peak: bool = False) -> int:
        """
        Return how much memory the process has, in bytes.

        Args:
            peak: return the highest amount so far.
        """
        return self._status("VmHWM" if peak else "VmRSS") * 1024

    def threads(self) -> int:
        """
        Return the number of its threads.
        """
        return self._status("Threads")

    def _status(self, name: str) -> int:
        match = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert match is not None, f"/proc has no {name}"
        return int(match[1])


@contextmanager
def _running(
    name: str, command: Sequence[str], directory: Path, variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    log = directory / f"{name.replace(' ', '-')}.log"
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=directory, env={**os.environ, **(variables or {})}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        port = _port(process, log)
        yield Server(name, port, process.pid, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        match = _LISTENING.search(log.read_text())
        if match:
            return int(match[1])
        time.sleep(0.005)
    raise RuntimeError(f"a server did not start: {log.read_text()}")


@contextmanager
def registry(
    name: str,
    directory: Path,
    *flags: str,
    checkout: Checkout = HERE,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """
    Run the registry, for the length of a context.

    Args:
        directory: where its archive is, under its name, made if it is missing.
        checkout: the one whose code runs.
        variables: environment variables.
    """
    archive = str(directory / name.replace(" ", "-"))
    twistd = [str(checkout.binaries / "twistd"), "--nodaemon", "--pidfile="]
    command = [*twistd, "model-registry", "--port", "0", "--archive-dir", archive, *flags]
    with _running(name, command, directory, variables) as server:
        yield server


@contextmanager
def ceiling(name: str, directory: Path, *flags: str) -> Iterator[Server]:
    """
    Run the ceiling, for the length of a context.
    """
    start = (
        f"import sys; sys.path.insert(0, {str(HERE.root)!r}); from benchmarks.ceiling import main; main(sys.argv[1:])"
    )
    with _running(name, [sys.executable, "-c", start, *flags], directory) as server:
        yield server
