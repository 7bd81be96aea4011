"""
Scripts of the examples as child processes.
"""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from tests.support.daemon import TIMEOUT_SECONDS, clean_environment, run_command, wait_until

TRAINING = Path(__file__).parents[2] / "examples" / "training"


def run_script(directory: Path, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """
    Run a script of the training example to its end.
    """
    return run_command(directory, sys.executable, TRAINING / name, *arguments)


@define(eq=False)
class Script:
    """
    A script of the training example that runs.

    Attributes:
        lines: all it printed so far, errors too.
    """

    name: str
    arguments: Sequence[str]
    lines: list[str] = field(factory=list)
    _process: "subprocess.Popen[str]" = field(init=False)
    _reader: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, TRAINING / self.name, *self.arguments],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                self.lines.append(line.rstrip("\n"))

    @property
    def versions(self) -> list[int]:
        """
        The numbers of the versions in its output, in order.
        """
        return [int(match[1]) for line in self.lines if (match := re.search(r"version (\d+), ", line))]

    @property
    def figures(self) -> list[float]:
        """
        The scores or returns in its output, in order.
        """
        return [float(match[1]) for line in self.lines if (match := re.search(r"(?:score|return) ([\d.]+)$", line))]

    def wait_for(self, text: str) -> None:
        """
        Wait until it has printed a text.
        """
        wait_until(lambda: text in "\n".join(self.lines), f"{self.name} prints {text!r}: {self.lines}")

    def wait_for_version(self, least: int) -> None:
        """
        Wait until it has printed a line about a version, or about a newer one.
        """
        wait_until(lambda: max(self.versions, default=0) >= least, f"{self.name} prints version {least}: {self.lines}")

    def interrupt(self) -> int:
        """
        Press Ctrl-C, and give its exit status.
        """
        self._process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """
        Wait for its end, and give its exit status.
        """
        status = self._process.wait(timeout=TIMEOUT_SECONDS)
        self._reader.join(TIMEOUT_SECONDS)
        return status

    def kill(self) -> None:
        """
        Kill it, if it still runs.
        """
        if self._process.poll() is None:
            self._process.kill()
            self.wait()
